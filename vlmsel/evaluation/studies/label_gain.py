"""Gain of a few labels on published tables: the posterior against rivals, with simulated hits.

Every target is held out; hits on its images are drawn from its published accuracies
(`simulated_labels`), and the posterior of the first n of them is compared with average rank,
ImageNet accuracy and the labels alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from vlmsel.columns import IMAGENET_NAMES
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import HeldOut, HeldOutTasks
from vlmsel.evaluation.leave_one_out import BASELINE
from vlmsel.evaluation.metric_expressions import with_metrics
from vlmsel.evaluation.metrics import METRICS
from vlmsel.evaluation.paired_bootstrap import paired_bootstrap
from vlmsel.evaluation.simulated_labels import draw_hits, target_rng
from vlmsel.evaluation.verdict import IMAGENET, RIVALS
from vlmsel.selection.knowledge import value_matrix
from vlmsel.selection.posterior.prior import MIN_SOURCES, fit_prior
from vlmsel.selection.posterior.spectrum import SpectralPrior, observe_draws
from vlmsel.selection.score_arrays import weighted_ranks, weights_of_known, zoo_ranks

POSTERIOR, ALONE = "posterior", "labels-alone"

LABELS = (0, 5, 10, 25, 50, 100)
RHO, N_DRAWS = 0.5, 30
ROWS = ("table", "selector", "rival", "n_labels", "n_targets", "n_models", "metric", "mean")


@dataclass(frozen=True)
class Target:
    """One held-out task as arrays; models in the order of their average rank, then by name.

    Attributes:
        name: of the task.
        truth: (models,), accuracy.
        sources: (sources, models), accuracies; ImageNet's row among them where it is known.
        average_rank: (models,).
        imagenet: (models,), accuracy on ImageNet; None where a model's is not known.
    """

    name: str
    truth: np.ndarray
    sources: np.ndarray
    average_rank: np.ndarray
    imagenet: np.ndarray | None


def lay_out(task: HeldOut) -> Target:
    """Lay a held-out task out as arrays.

    Raises:
        SelectionError: too few sources know its models for a prior.
    """
    problem = task.problem
    models = task.truth.select("model", "pretrained").rows()
    named = list(problem.sources)
    known = set(problem.accuracies["task"])
    references = [name for name in reversed(IMAGENET_NAMES) if name in known]
    if len(named) + len(references) < MIN_SOURCES:
        raise SelectionError(
            f"{problem.target} has {len(named)} source task(s); a posterior needs {MIN_SOURCES}"
        )
    table = value_matrix(problem.accuracies, "acc1", models, [*named, *references])
    ranks = zoo_ranks(table[:, : len(named)])
    average = weighted_ranks(weights_of_known(np.ones(len(named)), ranks), ranks)
    order = np.argsort(average.round(10), kind="stable")
    imagenet = table[order, len(named)] if references else None
    return Target(
        name=problem.target,
        truth=task.truth["accuracy"].to_numpy()[order],
        sources=table[order].T,
        average_rank=average[order],
        imagenet=None if imagenet is None or not np.isfinite(imagenet).all() else imagenet,
    )


def gain_of_labels(
    held_out: HeldOutTasks,
    *,
    labels: Sequence[int] = LABELS,
    rho: float = RHO,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> pl.DataFrame:
    """Judge the posterior and its rivals on every target, means over the draws of labels.

    With 0 labels the posterior is average rank. Ties of hit rates are broken at random, since
    tau-b favours ties.

    Args:
        held_out: of `hold_out`.
        labels: numbers of labelled images.
        rho: correlation of the simulated hits.
        n_draws: draws of labelled images per target.
        seed: of the draws.

    Returns:
        selector, n_labels, target, n_models, metric, value.

    Raises:
        SelectionError: a target has too few sources, or a number of labels is below 0.
    """
    if not labels or min(labels) < 0 or n_draws < 1:
        raise SelectionError("numbers of labels must be 0 or more, and draws 1 or more")
    parts = [
        _measure(target, _scores(target, sorted(set(labels)), rho, n_draws, seed))
        for target in map(lay_out, held_out.tasks)
    ]
    return pl.concat(parts)


def labels_rows(metrics: pl.DataFrame, table: str, *, seed: int = 0) -> pl.DataFrame:
    """Compare every selector and number of labels with each rival.

    Args:
        metrics: of `gain_of_labels`.
        table: name of the table.
        seed: of the bootstrap.

    Returns:
        table, selector, rival, n_labels, n_targets, n_models, metric, mean, delta, delta_low,
        delta_high (95 % interval, paired bootstrap over targets).
    """
    named = metrics.with_columns(selector=pl.format("{}@{}", "selector", "n_labels"))
    parts = []
    for rival in RIVALS:
        baseline = f"{rival}@0"
        if baseline not in named["selector"]:
            continue
        rows = paired_bootstrap(named, seed=seed, baseline=baseline)
        parts.append(rows.filter(selector=baseline) if rival == BASELINE else rows.clear())
        parts.append(rows.filter(pl.col("selector") != baseline))
        parts[-2:] = [part.with_columns(rival=pl.lit(rival)) for part in parts[-2:]]
    split = pl.col("selector").str.split_exact("@", 1)
    n_models = int(metrics["n_models"].to_numpy().max())
    return pl.concat(parts).select(
        pl.lit(table).alias("table"),
        split.struct[0].alias("selector"),
        "rival",
        split.struct[1].cast(pl.Int64).alias("n_labels"),
        "n_targets",
        pl.lit(n_models).alias("n_models"),
        "metric",
        *("mean", "delta", "delta_low", "delta_high"),
    )


def _scores(
    target: Target, labels: Iterable[int], rho: float, n_draws: int, seed: int
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Selector, number of labels and scores (rankings, models), lower is better."""
    yield BASELINE, 0, target.average_rank[None]
    if target.imagenet is not None:
        yield IMAGENET, 0, 1 - target.imagenet[None]
    rng, labels = target_rng(seed, target.name), list(labels)
    hits = draw_hits(target.truth, max(labels), n_draws, rho, rng)
    prior = SpectralPrior(fit_prior(target.sources))
    for n in labels:
        if n == 0:
            yield POSTERIOR, 0, target.average_rank[None]
            continue
        seen = hits[:, :n]
        yield POSTERIOR, n, -prior.condition(observe_draws(seen)).scores
        # Less than the smallest difference between two rates.
        broken = rng.random((n_draws, len(target.truth))) / (2 * n)
        yield ALONE, n, -seen.mean(axis=1) - broken


def _measure(target: Target, scores: Iterator[tuple[str, int, np.ndarray]]) -> pl.DataFrame:
    size = len(target.truth)
    rankings = pl.concat(
        pl.DataFrame(
            {
                "selector": [selector] * len(values),
                "n_labels": [n] * len(values),
                "score": pl.Series(values, dtype=pl.Array(pl.Float64, size)),
                "truth": pl.Series(
                    np.broadcast_to(target.truth, values.shape).copy(),
                    dtype=pl.Array(pl.Float64, size),
                ),
            }
        )
        for selector, n, values in scores
    )
    keys = ["selector", "n_labels"]
    means = with_metrics(rankings.lazy(), size).group_by(keys, maintain_order=True)
    wide = means.agg(pl.col(list(METRICS)).mean()).with_columns(
        target=pl.lit(target.name), n_models=pl.lit(size)
    )
    index = [*keys, "target", "n_models"]
    return wide.unpivot(list(METRICS), index=index, variable_name="metric").collect()
