"""Choice of a model to probe or to fine-tune: scores of labelled images, mixed with the prior."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from vlmsel.api.label_scores import LabelledTarget, LabelScores, score_target, usable_target
from vlmsel.api.probe_use import probe_evidence
from vlmsel.api.workspace import Workspace
from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.probe_use import COMPONENTS, learn_from_tables, prior_places
from vlmsel.evaluation.probe_work import ProbeOptions
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.selection.transfer.bootstrap_places import LEVEL, RESAMPLES
from vlmsel.selection.transfer.rank_mixture import Mixture

TrainedUse = Literal["probe", "fine-tune"]
# Shots that the sources are asked for: few numbers, so that results are kept and found again.
SHOTS = (1, 2, 4, 8, 16)
# Source tasks and cells named that could not be used.
SHOWN = 3
FINE_TUNING = (
    "no accuracy after fine-tuning is known: the weights are learnt on linear probes, and no score "
    "sees what fine-tuning changes"
)


@dataclass(frozen=True)
class TrainedSelection:
    """A zoo ranked for a probe or for fine-tuning.

    Attributes:
        target: name of the target.
        use: what the model is chosen for.
        ranking: rank, model, pretrained, score (mixed place, lower is better), low and high (95 %
            interval of the rank under resampling of the images), a column per score with its place,
            average_rank (mean place over the sources' probes), probe_accuracy (held out on these
            images), zero_shot_accuracy (on them); null where unknown. Best first.
        mixture: what was mixed, with the weights.
        shots: images per class that every source was shown.
        scores: every score of every model.
        notes: what must be known beside it, a line each.
    """

    target: str
    use: TrainedUse
    ranking: pl.DataFrame
    mixture: Mixture
    shots: int
    scores: LabelScores = field(repr=False)
    notes: tuple[str, ...] = ()


def select_trained(
    workspace: Workspace,
    target: LabelledTarget,
    use: TrainedUse,
    *,
    n_resamples: int = RESAMPLES,
    seed: int = 0,
    run: RunOptions | None = None,
    on_model: Callable[[str, int, int], None] | None = None,
) -> TrainedSelection:
    """Rank a zoo for a measured target by scores that pass their gates, and by the sources.

    The sources are the labelled tasks whose embeddings the store holds: the weights are those that
    foretell their probes best, each task held out once and shown as many images as the target has.

    Args:
        workspace: zoo and source tasks.
        target: its embeddings are in the store.
        use: what the model is chosen for.
        n_resamples: resamples of the images for the intervals; 0 for none.
        seed: of folds, draws and resamples.
        run: where to score: one task per model.
        on_model: called as models are done.

    Raises:
        SelectionError: no model can be scored, or no score ranks the zoo and no source does.
    """
    target = usable_target(target)
    found = score_target(
        target, (*COMPONENTS, "probe"), n_resamples=n_resamples, seed=seed, run=run,
        on_model=on_model,
    )  # fmt: skip
    known = {name: _places(found, name) for name in COMPONENTS}
    ranked = {name: places for name, places in known.items() if places is not None}
    names = list(ranked)
    notes = [
        f"{name} takes no part: {_find_reason(found, name)}"
        for name in COMPONENTS
        if name not in names
    ]
    shots = max(k for k in SHOTS if k <= max(1, target.task.groups.smallest))
    mixture, prior, why = _sources(workspace, shots, names, seed=seed, run=run, on_model=on_model)
    notes += why
    keys = [model.key for model in found.models]
    rows = [np.array([prior.get(key, np.nan) for key in keys])] if prior else []
    rows += list(ranked.values())
    places = np.stack(rows)
    if prior:
        unknown = np.isnan(places[0])
        places[0, unknown] = np.nanmean(places[0])
        if unknown.any():
            notes.append(
                f"{int(unknown.sum())} models are new to the sources: the middle is assumed"
            )
    score = mixture.score(places)
    low, high = _intervals(found, mixture, places, names)
    table = pl.DataFrame(
        {
            **{part: [key[i] for key in keys] for i, part in enumerate(MODEL)},
            "score": score,
            "low": low,
            "high": high,
            **ranked,
            "average_rank": places[0] if prior else np.full(len(keys), np.nan),
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    beside = found.table.filter(estimator="probe").select(
        *MODEL, "probe_accuracy", "zero_shot_accuracy"
    )
    ranking = (
        table.join(beside, on=MODEL, how="left", maintain_order="left")
        .sort(pl.col("score").round(9), -pl.col("probe_accuracy"), *MODEL)
        .with_row_index("rank", 1)
    )
    if use == "fine-tune":
        notes.append(FINE_TUNING)
    name = target.images.task.partition(":")[2] or target.images.task
    return TrainedSelection(name, use, ranking, mixture, shots, found, tuple(notes))


def _places(found: LabelScores, name: str) -> np.ndarray | None:
    """Places of all scored models; None where the score does not rank them all."""
    places = found.table.filter(estimator=name)["place"]
    return None if places.has_nulls() else places.to_numpy()


def _find_reason(found: LabelScores, name: str) -> str:
    reasons = found.table.filter(estimator=name)["reason"].drop_nulls()
    return reasons[0] if len(reasons) else "some models have no place"


def _sources(
    workspace: Workspace,
    shots: int,
    names: list[str],
    *,
    seed: int,
    run: RunOptions | None,
    on_model: Callable[[str, int, int], None] | None,
) -> tuple[Mixture, dict, list[str]]:
    """The weights and the prior of the sources, or equal weights and why."""
    options = ProbeOptions(shots=(shots,), seed=seed)
    try:
        if "embedding" not in workspace.wants:
            raise StoreError("the store holds no embeddings of source tasks")
        sources = probe_evidence(workspace, options, run=run, on_model=on_model)
        prior = prior_places(sources.tables)
        if not prior:
            raise SelectionError("no source task could be probed")
        mixture = learn_from_tables(sources.tables, shots, names)
        return mixture, prior, [f"{name}: {why}" for _, name, why in sources.left_out[:SHOWN]]
    except (StoreError, SelectionError) as error:
        if not names:
            raise SelectionError(
                f"nothing ranks the zoo: no score means anything for these labels, and {error}"
            ) from None
        equal = Mixture(tuple(names), np.full(len(names), 1 / len(names)), 0)
        return equal, {}, [f"no source task speaks: {error}"]


def _intervals(
    found: LabelScores, mixture: Mixture, places: np.ndarray, names: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of every mixed rank; a score that cannot be resampled keeps its place."""
    from scipy.stats import rankdata

    none = np.full(places.shape[1], np.nan)
    lengths = [len(model.resampled[name]) for model in found.models for name in model.resampled]
    if not lengths or not names:
        return none, none
    first = len(places) - len(names)
    ranks = []
    for resample in range(min(lengths)):
        drawn = places.copy()
        for row, name in enumerate(names, start=first):
            if all(name in model.resampled for model in found.models):
                pairs = np.array([model.resampled[name][resample] for model in found.models])
                if np.isfinite(pairs).all():
                    _, order = np.unique(np.round(pairs, 10), axis=0, return_inverse=True)
                    drawn[row] = rankdata(-order.ravel())
        ranks.append(rankdata(np.round(mixture.score(drawn), 9)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.array(ranks), [tail, 1 - tail], axis=0)
    return np.floor(low), np.ceil(high)
