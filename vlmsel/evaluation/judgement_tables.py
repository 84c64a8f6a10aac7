"""The tables of a leave-one-out, made of the judgements of all selectors at once."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import HeldOutTasks
from vlmsel.evaluation.judgement import Judgement, Names
from vlmsel.evaluation.metric_expressions import with_metrics
from vlmsel.evaluation.metrics import METRICS


def tabulate_rankings(
    judgements: Mapping[str, Judgement], held_out: HeldOutTasks, names: Names
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Metrics and rankings of all selectors, by target, then in the order of the selectors.

    Returns:
        selector, target, n_models, n_sources, metric, value; and selector, target, rank, model,
        pretrained, score, accuracy.

    Raises:
        SelectionError: there is none.
    """
    selectors = list(judgements)
    made = [(t, s) for t in range(len(names.targets)) for s in range(len(selectors))]
    made = [(t, s) for t, s in made if not judgements[selectors[s]].refused[t]]
    if not made:
        raise SelectionError("no selector could rank any task")
    targets, chosen = np.array(made).T
    places = np.stack([judgements[selectors[s]].places[t] for t, s in made])
    # By place, models without one last.
    order = np.argsort(np.where(places > 0, places, np.iinfo(np.int32).max), axis=1, kind="stable")
    scores = np.stack([judgements[selectors[s]].scores[t] for t, s in made])
    scores = np.take_along_axis(scores, order, axis=1)
    truth = np.take_along_axis(_truth(held_out, names)[targets], order, axis=1)
    is_ranked = np.take_along_axis(places, order, axis=1) > 0
    which = pl.DataFrame(
        {
            "selector": pl.Series(selectors, dtype=pl.String).gather(chosen),
            "target": pl.Series(names.targets, dtype=pl.String).gather(targets),
            "n_models": pl.Series(is_ranked.sum(axis=1), dtype=pl.Int32),
            "n_sources": pl.Series([len(task.problem.sources) for task in held_out.tasks])
            .gather(targets)
            .cast(pl.Int32),
        }
    )
    row, place = np.nonzero(is_ranked)
    rankings = (
        which.select("selector", "target")[row]
        .with_columns(rank=pl.Series(place + 1, dtype=pl.UInt32))
        .with_columns(_models(names, order[is_ranked]))
        .with_columns(score=pl.Series(scores[is_ranked]), accuracy=pl.Series(truth[is_ranked]))
    )
    return _metrics(which, truth, scores), rankings


def tabulate_weights(judgements: Mapping[str, Judgement], names: Names) -> pl.LazyFrame:
    """Weights of all selectors that compare tasks.

    Returns:
        selector, target, model, pretrained, source, weight. Names are kept as numbers until it is
        collected: a hundred models on a hundred tasks make a million rows per selector.
    """
    parts = [_weights(name, judgement.weights, names) for name, judgement in judgements.items()]
    return pl.concat(parts)


def tabulate_refusals(
    judgements: Mapping[str, Judgement], names: Names, schema: pl.Schema
) -> pl.DataFrame:
    """Tabulate what selectors could not rank, by target, as rows of `HeldOutTasks.left_out`."""
    rows = [
        ("selector", name, f"on {target}: {judgement.refused[number]}")
        for number, target in enumerate(names.targets)
        for name, judgement in judgements.items()
        if judgement.refused[number]
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _truth(held_out: HeldOutTasks, names: Names) -> np.ndarray:
    """(targets, models), NaN outside a target's zoo."""
    truth = np.full((len(names.targets), len(names.models)), np.nan)
    for number, task in enumerate(held_out.tasks):
        rows = names.rows(task.truth.select(MODEL).rows())
        truth[number, rows] = task.truth["accuracy"].to_numpy()
    return truth


def _metrics(which: pl.DataFrame, truth: np.ndarray, scores: np.ndarray) -> pl.DataFrame:
    n_models = truth.shape[1]
    known = pl.element().fill_nan(None)
    arrays = {
        name: pl.Series(values, dtype=pl.Array(pl.Float64, n_models))
        for name, values in (("truth", truth), ("score", scores))
    }
    rankings = which.with_columns(**arrays).with_columns(pl.col(*arrays).arr.eval(known))
    measured = with_metrics(rankings.with_row_index("_row").lazy(), n_models)
    index = ["_row", *which.columns]
    place = {name: i for i, name in enumerate(METRICS)}
    long = measured.unpivot(list(METRICS), index=index, variable_name="metric").collect()
    ordered = long.sort("_row", pl.col("metric").replace_strict(place))
    return ordered.select(*which.columns, "metric", "value")


def _models(names: Names, rows: np.ndarray) -> Sequence[pl.Series]:
    frame = pl.DataFrame(list(names.models), schema=dict.fromkeys(MODEL, pl.String), orient="row")
    return [frame[column].gather(rows) for column in MODEL]


def _weights(name: str, weights: np.ndarray | None, names: Names) -> pl.LazyFrame:
    values = np.empty((0, 0, 0)) if weights is None else weights
    target, row, column = np.nonzero(np.isfinite(values))
    numbers = pl.LazyFrame(
        {
            "target": pl.Series(target, dtype=pl.UInt32),
            "row": pl.Series(row, dtype=pl.UInt32),
            "source": pl.Series(column, dtype=pl.UInt32),
            "weight": pl.Series(values[target, row, column], dtype=pl.Float64),
        }
    )
    model, pretrained = ([key[i] for key in names.models] for i in range(2))
    return numbers.select(
        selector=pl.lit(name),
        target=_look_up_names("target", names.targets),
        model=_look_up_names("row", model),
        pretrained=_look_up_names("row", pretrained),
        source=_look_up_names("source", names.tasks),
        weight="weight",
    )


def _look_up_names(column: str, names: Sequence[str]) -> pl.Expr:
    return pl.lit(pl.Series(list(names), dtype=pl.String)).gather(pl.col(column))
