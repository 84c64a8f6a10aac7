"""Comparison of selectors on other zoos: leave-one-out over many random sub-zoos."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import HeldOut, hold_out
from vlmsel.evaluation.leave_one_out import BASELINE, name_selectors
from vlmsel.evaluation.metric_expressions import with_metrics
from vlmsel.evaluation.metrics import METRICS
from vlmsel.evaluation.paired_bootstrap import LEVEL
from vlmsel.selection.selector import Selector


def subsampled_zoos(
    selectors: Sequence[Selector] | Mapping[str, Selector],
    accuracies: pl.DataFrame,
    profiles: pl.DataFrame | pl.LazyFrame | None = None,
    *,
    n_zoos: int = 1000,
    share: float = 0.7,
    seed: int = 0,
) -> pl.DataFrame:
    """Mean metrics over all targets in each of many random sub-zoos.

    A zoo is a random order of the models; each target takes the first `share` of those that it
    knows, so that tables with holes still give zoos of one size a target. Ties in a sub-zoo are
    broken by name.

    Args:
        selectors: as for `leave_one_out`.
        accuracies: as for `leave_one_out`.
        profiles: as for `leave_one_out`.
        n_zoos: number of zoos.
        share: of the models in each, in (0, 1].
        seed: of the orders.

    Returns:
        zoo, selector, metric, value (mean over targets).

    Raises:
        SelectionError: An option is out of range, a zoo has fewer than two models, or a selector
            cannot rank a target.
    """
    if not (0 < share <= 1 and n_zoos >= 1):
        msg = f"share must be in (0, 1] and n_zoos at least 1, got {share} and {n_zoos}"
        raise SelectionError(msg)
    named = name_selectors(selectors)
    tasks = hold_out(accuracies, profiles).tasks
    everyone = sorted({key for task in tasks for key in task.truth.select(MODEL).rows()})
    rng = np.random.default_rng(seed)
    # Place of every model in every random order, (n_zoos, models).
    place = rng.permuted(np.tile(np.arange(len(everyone)), (n_zoos, 1)), axis=1)
    column = {key: i for i, key in enumerate(everyone)}
    parts = [
        _metrics_of_zoos(name, selector, task, place, column, share)
        for task in tasks
        for name, selector in named.items()
    ]
    return (
        pl.concat(parts)
        .group_by("zoo", "selector", "metric", maintain_order=True)
        .agg(pl.col("value").mean())
    )


def zoo_summary(zoos: pl.DataFrame, *, baseline: str = BASELINE) -> pl.DataFrame:
    """The spread of each metric over zoos, alone and against a baseline in the same zoo.

    Args:
        zoos: of `subsampled_zoos`.
        baseline: selector to compare with.

    Returns:
        selector, metric, mean, low, high, delta, delta_low, delta_high (95 % of the zoos),
        p_better (share of zoos in which the selector is strictly better than the baseline).
    """
    rival = zoos.filter(pl.col("selector") == baseline).select("zoo", "metric", rival="value")
    sign = {name: 1 if metric.higher_is_better else -1 for name, metric in METRICS.items()}
    paired = zoos.join(rival, on=["zoo", "metric"], how="left", maintain_order="left").with_columns(
        delta=pl.col("value") - pl.col("rival"),
        gain=(pl.col("value") - pl.col("rival")) * pl.col("metric").replace_strict(sign),
    )
    tail = (1 - LEVEL) / 2
    value, delta = pl.col("value"), pl.col("delta")
    return paired.group_by("selector", "metric", maintain_order=True).agg(
        mean=value.mean(),
        low=value.quantile(tail, "linear"),
        high=value.quantile(1 - tail, "linear"),
        delta=delta.mean(),
        delta_low=delta.quantile(tail, "linear"),
        delta_high=delta.quantile(1 - tail, "linear"),
        p_better=(pl.col("gain") > 1e-12).mean(),
    )


def _metrics_of_zoos(
    name: str,
    selector: Selector,
    task: HeldOut,
    place: np.ndarray,
    column: dict[tuple[str, str], int],
    share: float,
) -> pl.DataFrame:
    scorer = selector.prepare(task.problem)
    truth = {(model, tag): accuracy for model, tag, accuracy in task.truth.rows()}
    missing = sorted(set(truth) - set(scorer.models))
    size = round(share * len(truth))
    if missing or size < 2:
        why = f"{'/'.join(missing[0])} has no score" if missing else f"{size} model(s) in a zoo"
        msg = f"selector {name} on {task.problem.target}: {why}; leave it out or widen the zoo"
        raise SelectionError(msg)
    known = place[:, [column[key] for key in scorer.models]]
    # Rows of the scorer's models, back in the order of names.
    zoos = np.sort(np.argsort(known, axis=1)[:, :size], axis=1)
    accuracy = np.array([truth[key] for key in scorer.models])
    arrays = pl.DataFrame(
        {
            "zoo": np.arange(len(zoos)),
            "truth": pl.Series(accuracy[zoos], dtype=pl.Array(pl.Float64, size)),
            "score": pl.Series(scorer.score(zoos).values, dtype=pl.Array(pl.Float64, size)),
        }
    )
    measured = with_metrics(arrays.lazy(), size).with_columns(selector=pl.lit(name))
    keys = ["zoo", "selector"]
    return measured.unpivot(list(METRICS), index=keys, variable_name="metric").collect()
