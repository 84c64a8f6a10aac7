"""Right and wrong of a model and of its knockouts on labelled images of one task."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from vlmsel.columns import CELL
from vlmsel.errors import SelectionError

LAYER = ["tower", "part", "layer"]
# A layer counts where it was silenced on at least one image and changed it.
USABLE = ("acts", "not-finite")
# Less is of an option that the question does not have. Some cells hold a little more of it than
# `NO_OPTION`: it was normalised with the options.
LEAST_OPTION = -60_000.0


@dataclass(frozen=True)
class Outcomes:
    """Answers on N items, of the base and of K candidates.

    Attributes:
        base: (N,) of 1 and 0, whether the base is right.
        hits: (N, K) of 1 and 0.
        base_log: (N,) log-probability of the truth among the classes.
        log: (N, K); minus infinity where an answer is no number.
        groups: (N,), equal for copies of one image, which stay on one side of every split.
    """

    base: np.ndarray
    hits: np.ndarray
    base_log: np.ndarray
    log: np.ndarray
    groups: np.ndarray

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.base)

    @property
    def n_candidates(self) -> int:
        """Number of layers that can be chosen."""
        return self.hits.shape[1]

    def take(self, items: np.ndarray) -> "Outcomes":
        """Some of the items, in their order; may repeat."""
        return Outcomes(
            self.base[items],
            self.hits[items],
            self.base_log[items],
            self.log[items],
            self.groups[items],
        )

    def changes(self) -> tuple[np.ndarray, np.ndarray]:
        """Items gained and items lost by candidate."""
        gained = ((self.hits == 1) & (self.base[:, None] == 0)).sum(axis=0)
        lost = ((self.hits == 0) & (self.base[:, None] == 1)).sum(axis=0)
        return gained, lost

    def gains(self) -> np.ndarray:
        """Accuracy with each candidate silenced minus the base's."""
        gained, lost = self.changes()
        return (gained - lost) / max(1, self.n_items)


@dataclass(frozen=True)
class LayerAnswers:
    """One model on one task: outcomes with names.

    Attributes:
        key: model, pretrained, task.
        layers: names of the candidates, such as ``vision.0`` or ``text.3.attention``.
        outcomes: of the candidates.
        idle: layers that are no candidates, each with its state.
        n_classes: of the task.
        majority: share of the most frequent label.
        guess: accuracy of guessing where it is not one over `n_classes`: of questions with options
            of several numbers.
    """

    key: tuple[str, str, str]
    layers: tuple[str, ...]
    outcomes: Outcomes
    idle: dict[str, str]
    n_classes: int
    majority: float
    guess: float | None = None

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return 1.0 / self.n_classes if self.guess is None else self.guess


def label_knockouts(
    rows: pl.DataFrame, labels: pl.DataFrame, tower: str, part: str
) -> pl.DataFrame:
    """Knockout rows of labelled images with right and wrong in place of the class scores.

    Args:
        rows: measured rows of one tower and part: model, pretrained, task, image_id, image_sha256,
            layer, layer_name, state, argmax, log_probabilities.
        labels: task, image_id, label.
        tower: of the rows.
        part: of the rows.

    Returns:
        model, pretrained, task, image_id, image_sha256, tower, part, layer, layer_name, state,
        label, n_classes, right (null where the layer cannot be silenced), truth (log-probability).
    """
    joined = rows.join(labels, on=["task", "image_id"], how="inner")
    answers = pl.col("log_probabilities").list
    return joined.select(
        *CELL,
        "image_id",
        "image_sha256",
        pl.lit(tower).alias("tower"),
        pl.lit(part).alias("part"),
        "layer",
        "layer_name",
        "state",
        "label",
        n_classes=answers.len().max().over(CELL),
        n_options=answers.eval(pl.element() > LEAST_OPTION).list.sum(),
        right=pl.when(pl.col("argmax").is_not_null()).then(
            (pl.col("argmax") == pl.col("label")).cast(pl.Int8)
        ),
        truth=answers.get(pl.col("label"), null_on_oob=True).cast(pl.Float64),
    )


def collect_answers(labelled: pl.DataFrame) -> Iterator[LayerAnswers]:
    """Outcomes of every model and task, sorted by name.

    Args:
        labelled: rows of `label_knockouts`, of one or more towers and parts.

    Raises:
        SelectionError: towers or parts of one model and task are not of the same images.
    """
    for key, rows in sorted(labelled.group_by(CELL), key=lambda found: found[0]):
        yield _answers(key, rows)


def _answers(key: tuple[object, ...], rows: pl.DataFrame) -> LayerAnswers:
    model, pretrained, task = (str(part) for part in key)
    base = rows.filter(pl.col("layer") < 0).unique("image_id", keep="first").sort("image_id")
    columns: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    idle: dict[str, str] = {}
    order = rows.filter(pl.col("layer") >= 0).sort(
        pl.col("tower") != "vision", "part", "layer", "image_id"
    )
    for (tower, part, layer), of_layer in order.group_by(LAYER, maintain_order=True):
        name = layer_label(str(tower), str(part), int(str(layer)))
        states = set(of_layer["state"])
        if states.isdisjoint(USABLE):
            idle[name] = sorted(states)[0]
            continue
        if of_layer["image_id"].to_list() != base["image_id"].to_list():
            raise SelectionError(
                f"knockouts of {model}/{pretrained} on {task}: {name} is not measured on the same "
                "images as the others; measure the towers and parts with one --n-images"
            )
        columns[name] = (_numbers(of_layer, "right"), _numbers(of_layer, "truth", -np.inf))
    empty = np.zeros((base.height, 0))
    hits = np.column_stack([hit for hit, _ in columns.values()]) if columns else empty
    logs = np.column_stack([log for _, log in columns.values()]) if columns else empty
    outcomes = Outcomes(
        _numbers(base, "right"),
        hits,
        _numbers(base, "truth"),
        logs,
        base["image_sha256"].rank("dense").to_numpy(),
    )
    share = base["label"].value_counts()["count"].max()
    majority = float(share or 0) / max(1, base.height)  # pyright: ignore[reportArgumentType]
    n_classes = int(base["n_classes"].max() or 1)  # pyright: ignore[reportArgumentType]
    names = tuple(columns)
    cell = (model, pretrained, task)
    return LayerAnswers(cell, names, outcomes, idle, n_classes, majority, _guess(base, n_classes))


def layer_label(tower: str, part: str, layer: int) -> str:
    """The name of a layer as `vlmsel.zoo.layer_name.LayerName` writes it."""
    return f"{tower}.{layer}" if part == "block" else f"{tower}.{layer}.{part}"


def choose_layers(answers: LayerAnswers, names: Sequence[str]) -> LayerAnswers:
    """The same with these candidates alone, in this order.

    Raises:
        SelectionError: a layer is unknown or cannot be silenced; says how to name one.
    """
    known = {name: place for place, name in enumerate(answers.layers)}
    for name in names:
        if name in answers.idle:
            raise SelectionError(f"layer {name} is no candidate: it is {answers.idle[name]}")
        if name not in known:
            raise SelectionError(
                f"no layer {name!r} of {'/'.join(answers.key[:2])} is measured: name layers as "
                f"TOWER.NUMBER or TOWER.NUMBER.PART; measured are {_list_some(answers.layers)}"
            )
    places = [known[name] for name in dict.fromkeys(names)]
    o = answers.outcomes
    kept = Outcomes(o.base, o.hits[:, places], o.base_log, o.log[:, places], o.groups)
    layers = tuple(dict.fromkeys(names))
    return replace(answers, layers=layers, outcomes=kept)


def _list_some(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:12]) + (" ..." if len(shown) > 12 else "") if shown else "none"


def _guess(base: pl.DataFrame, n_classes: int) -> float | None:
    """Accuracy of guessing among each item's own options, where their numbers differ."""
    n_options = base["n_options"].drop_nulls().to_numpy()
    if len(n_options) == 0 or (n_options == n_classes).all() or (n_options < 1).any():
        return None
    return float((1.0 / n_options).mean())


def _numbers(frame: pl.DataFrame, column: str, missing: float = 0.0) -> np.ndarray:
    return frame[column].cast(pl.Float64).fill_null(missing).fill_nan(missing).to_numpy()
