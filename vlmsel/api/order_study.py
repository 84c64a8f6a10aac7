"""Study of picking orders on a store's own answers and on imported predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from vlmsel.api.prediction_study import prediction_zoos
from vlmsel.api.workspace import Workspace, open_workspace, remembers
from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.studies.label_orders import (
    LABELS,
    N_DRAWS,
    LabelledPool,
    judge_orders,
    label_pool,
)
from vlmsel.evaluation.studies.powered_labels import lay_out_predictions
from vlmsel.evidence.evidence import Evidence
from vlmsel.published.stored_tables import read_predictions
from vlmsel.report.study_figures import orders_figure
from vlmsel.selection.estimators.answers import FAILED
from vlmsel.selection.orders.pool import Pool
from vlmsel.store.filesystem import open_folder

STORE = "store"


@dataclass(frozen=True)
class OrderStudy:
    """Gains of each order.

    Attributes:
        rows: of `judge_orders`.
        figure: regret and tau against the number of labels.
        left_out: kind, name, reason of what could not be used.
    """

    rows: pl.DataFrame
    figure: Figure
    left_out: pl.DataFrame


def study_orders(
    store: str | Path,
    *,
    zoo: str | None = None,
    tasks: str | None = None,
    labels: Sequence[int] = LABELS,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> OrderStudy:
    """Judge every order on the store's own tasks, and on every imported set of predictions.

    Args:
        store: folder or address.
        zoo: model catalog; by default that of the store's last run.
        tasks: task catalog; by default likewise.
        labels: numbers of labelled images.
        n_draws: draws per task.
        seed: of the draws.

    Raises:
        StoreError: there are neither answers on labelled images nor imported predictions.
        SelectionError: none of them can be used.
    """
    dropped: list[tuple[str, str, str]] = []
    tables: dict[str, list[LabelledPool]] = {}
    if zoo is not None or tasks is not None or remembers(store):
        found = store_pools(open_workspace(store, zoo=zoo, tasks=tasks), dropped)
        few = [task.name for task in found if task.pool.n_images < max(labels)]
        dropped += [("task", name, f"fewer than {max(labels)} images") for name in few]
        found = [task for task in found if task.name not in few]
        if found:
            tables[STORE] = found
    folder = open_folder(store)
    known = read_predictions(folder)
    for name, rows in prediction_zoos(known):
        try:
            found_pool = imported_pool(name, rows)
        except SelectionError as error:
            dropped.append(("zoo", name, str(error)))
            continue
        tables[name] = [found_pool]
        if found_pool.pool.probabilities is None:
            reason = "not every model states confidences: orders that need probabilities are out"
            dropped.append(("zoo", name, reason))
    if not tables:
        raise StoreError(
            f"store {folder.address} holds no answers on labelled images: `vlmsel measure "
            f"prediction` makes some, `vlmsel import predictions FILE --store {folder.address}` "
            "reads others'"
        )
    made = judge_orders(tables, labels=labels, n_draws=n_draws, seed=seed)
    schema = {"kind": pl.String, "name": pl.String, "reason": pl.String}
    left_out = pl.DataFrame(dropped, schema=schema, orient="row")
    return OrderStudy(made, orders_figure(made), left_out)


def store_pools(
    workspace: Workspace, dropped: list[tuple[str, str, str]] | None = None
) -> list[LabelledPool]:
    """Answers of the current zoo on the labelled images of its tasks, with probabilities.

    Args:
        workspace: the zoo, the tasks and the store.
        dropped: gets what could not be used: kind, name, reason.
    """
    evidence = Evidence(workspace.store, workspace.catalogued, workspace.wants, with_logits=True)
    found = []
    for (task,), rows in evidence.labelled.filter(pl.col("label") >= 0).group_by(
        "task", maintain_order=True
    ):
        try:
            found.append(_store_pool(str(task), rows))
        except SelectionError as error:
            if dropped is not None:
                dropped.append(("task", str(task), str(error)))
    return found


def imported_pool(name: str, predictions: pl.DataFrame) -> LabelledPool:
    """Imported predictions as a pool.

    Where every answer has a confidence, the rest of the probability is spread evenly over the other
    classes, since a table states no more.

    Raises:
        SelectionError: there are too few models or classes.
    """
    answered = lay_out_predictions(predictions, name)
    pool = Pool(answered.answers, answered.n_classes)
    confidence = _lay_out(predictions, "confidence")
    if np.isfinite(confidence[answered.answers >= 0]).all() and (answered.answers >= 0).all():
        k = answered.n_classes
        rest = (1 - confidence) / (k - 1)
        p = np.repeat(rest[..., None], k, axis=2)
        np.put_along_axis(p, answered.answers[..., None], confidence[..., None], axis=2)
        pool = Pool(answered.answers, k, p)
    return label_pool(name, pool, answered.truth)


def _lay_out(predictions: pl.DataFrame, column: str) -> np.ndarray:
    """A column as (models, images), NaN where there is no row."""
    models = predictions.select(MODEL).unique().sort(MODEL)
    images = predictions.select("image_id").unique().sort("image_id")
    placed = predictions.join(models.with_row_index("m"), on=MODEL).join(
        images.with_row_index("i"), on="image_id"
    )
    found = np.full((models.height, images.height), np.nan)
    at = (placed["m"].to_numpy(), placed["i"].to_numpy())
    found[at] = placed[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return found


def _store_pool(task: str, rows: pl.DataFrame) -> LabelledPool:
    """One task of a store.

    Raises:
        SelectionError: there are too few models, images or classes.
    """
    models = rows.select(MODEL).unique().sort(MODEL)
    images = rows.select("image_id", "label").unique().sort("image_id")
    placed = rows.join(models.with_row_index("m"), on=MODEL).join(
        images.select("image_id").with_row_index("i"), on="image_id"
    )
    at = (placed["m"].to_numpy(), placed["i"].to_numpy())
    n_classes = int(rows["n_classes"].to_numpy().max())
    shape = (models.height, images.height)
    classes = np.full(shape, FAILED)
    classes[at] = placed["argmax"].to_numpy()
    p = None
    if rows["logits"].list.len().to_numpy().min() == n_classes:
        p = np.full((*shape, n_classes), np.nan)
        logits = placed["logits"].explode(empty_as_null=False).to_numpy().astype(float)
        logits = logits.reshape(-1, n_classes) - placed["log_sum_exp"].to_numpy()[:, None]
        p[at] = np.exp(np.minimum(logits, 0.0))
        p /= p.sum(axis=2, keepdims=True)
    return label_pool(task, Pool(classes, n_classes, p), images["label"].to_numpy())
