"""Leave one out: every task is the target once, and every selector ranks its zoo unseen."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import IMAGENET_NAMES, HeldOut, HeldOutTasks, hold_out
from vlmsel.evaluation.metrics import evaluate_ranking
from vlmsel.evaluation.paired import paired_bootstrap
from vlmsel.selection.profiles import MODEL
from vlmsel.selection.ranking import Ranking
from vlmsel.selection.selector import Selector
from vlmsel.selection.zoo_answers import ZooAnswers

BASELINE = "average-rank"


@dataclass(frozen=True)
class LeaveOneOut:
    """What every selector said of every target, and how right it was.

    Attributes:
        metrics: selector, target, n_models, n_sources, metric, value.
        rankings: selector, target, rank, model, pretrained, score, accuracy.
        weights: selector, target, model, pretrained, source, weight; selectors without
            similarities have no rows.
        left_out: kind ("task", "model" or "selector"), name, reason.
    """

    metrics: pl.DataFrame
    rankings: pl.DataFrame
    weights: pl.DataFrame
    left_out: pl.DataFrame

    def summary(
        self, *, n_bootstrap: int = 10_000, seed: int = 0, baseline: str = BASELINE
    ) -> pl.DataFrame:
        """Mean of each metric over targets with its 95 % interval, and the same against a baseline.

        Returns:
            selector, metric, n_targets, mean, low, high, delta, delta_low, delta_high; see
            `paired_bootstrap`.
        """
        return paired_bootstrap(self.metrics, n_bootstrap=n_bootstrap, seed=seed, baseline=baseline)


def leave_one_out(
    selectors: Sequence[Selector] | Mapping[str, Selector],
    accuracies: pl.DataFrame,
    profiles: pl.DataFrame | pl.LazyFrame | None = None,
    *,
    targets: Collection[str] | None = None,
    references: Collection[str] = IMAGENET_NAMES,
    answers: Mapping[str, ZooAnswers] | None = None,
) -> LeaveOneOut:
    """Hold every task out once and let every selector rank its zoo.

    When profiles are given, all selectors rank the same models with the same sources: those with
    a profile. A selector that cannot rank a target is left out for it by name.

    Args:
        selectors: made by `make_selector`, no two of one name; or a name for each, to compare one
            selector under several options.
        accuracies: model, pretrained, task, acc1 (0..1); NaN and null mean unknown.
        profiles: long profiles or `task_profiles` of them.
        targets: tasks to hold out; all but the references when None.
        references: never target nor source, only for selectors that ask by name (ImageNet).
        answers: by task, for selectors that look at those of the target.

    Raises:
        SelectionError: No target is left, no selector could rank any, or a selector needs
            profiles and there are none.
    """
    named = named_selectors(selectors)
    needy = [name for name, selector in named.items() if selector.needs_profiles]
    if needy and profiles is None:
        msg = f"selector {needy[0]!r} needs profiles and none are given; pass a profile table"
        raise SelectionError(msg)
    held_out = hold_out(
        accuracies, profiles, targets=targets, references=references, answers=answers
    )
    return judge(named, held_out)


def judge(named: Mapping[str, Selector], held_out: HeldOutTasks) -> LeaveOneOut:
    """Let every selector rank every held-out task.

    Raises:
        SelectionError: No selector could rank any task.
    """
    left_out = [held_out.left_out]
    judged = []
    for one in held_out.tasks:
        for name, selector in named.items():
            try:
                judged.append(_judge(name, selector.rank(one.problem), one))
            except SelectionError as error:
                reason = f"on {one.problem.target}: {error}"
                left_out.append(_row(held_out.left_out.schema, name, reason))
    if not judged:
        msg = f"no selector could rank any task; {left_out[-1].item(0, 'reason')}"
        raise SelectionError(msg)
    metrics, rankings, weights = (pl.concat(parts) for parts in zip(*judged, strict=True))
    return LeaveOneOut(metrics, rankings, weights, pl.concat(left_out))


def named_selectors(
    selectors: Sequence[Selector] | Mapping[str, Selector],
) -> dict[str, Selector]:
    """Selectors by name.

    Raises:
        SelectionError: There are none, or two of one name.
    """
    pairs = (
        list(selectors.items())
        if isinstance(selectors, Mapping)
        else [(selector.name, selector) for selector in selectors]
    )
    names = [name for name, _ in pairs]
    if not names or len(set(names)) < len(names):
        msg = f"leave-one-out needs selectors of different names, got {names}"
        raise SelectionError(msg)
    return dict(pairs)


def _judge(
    name: str, ranking: Ranking, one: HeldOut
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Metrics, ranking and weights of one selector on one target, tagged with both names."""
    tag = (pl.lit(name).alias("selector"), pl.lit(one.problem.target).alias("target"))
    table = ranking.table.select("rank", *MODEL, pl.col("score").cast(pl.Float64))
    # In the order of the ranking, which has broken the ties of the scores.
    ranked = one.truth.join(table, on=MODEL, how="inner").sort("rank")
    if len(ranked) < len(one.truth):
        model, pretrained, why = ranking.left_out.select(*MODEL, "reason").row(0)
        count = f"{len(ranked)} of {len(one.truth)} models ranked"
        msg = f"{count}, not comparable; {model}/{pretrained}: {why}"
        raise SelectionError(msg)
    values = evaluate_ranking(ranked["accuracy"].to_numpy(), ranked["score"].to_numpy())
    metrics = pl.DataFrame({"metric": list(values), "value": list(values.values())}).select(
        *tag,
        pl.lit(len(ranked)).alias("n_models"),
        pl.lit(len(one.problem.sources)).alias("n_sources"),
        "metric",
        "value",
    )
    weights = ranking.weights if ranking.weights is not None else _no_weights()
    return (
        metrics,
        ranked.select(*tag, "rank", *MODEL, "score", "accuracy"),
        weights.select(*tag, *MODEL, "source", pl.col("weight").cast(pl.Float64)),
    )


def _no_weights() -> pl.DataFrame:
    names = dict.fromkeys((*MODEL, "source"), pl.String)
    return pl.DataFrame(schema={**names, "weight": pl.Float64})


def _row(schema: pl.Schema, name: str, reason: str) -> pl.DataFrame:
    return pl.DataFrame([("selector", name, reason)], schema=schema, orient="row")
