"""Task similarity of some families of models, judged on the models of other families."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import HeldOut, HeldOutTasks
from vlmsel.evaluation.metrics import evaluate_ranking
from vlmsel.selection.block_matches import BlockMatches
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.problem import Problem
from vlmsel.selection.selector import Selector
from vlmsel.selection.tower_families import family_of

ONE_FOR_OTHERS = "one family for the others"
OTHERS_FOR_ONE = "the other families for one"
SCHEMA = {
    "design": pl.String,
    "selector": pl.String,
    "target": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
}


@dataclass(frozen=True)
class Approach:
    """One way to rank models by a similarity of tasks.

    Attributes:
        selector: how tasks are compared and ranks weighed.
        is_carried: by the profiles of other families alone; else by all profiles, the models' own
            among them.
    """

    selector: Selector
    is_carried: bool


@dataclass(frozen=True)
class Exchange:
    """Models that are ranked, and the models whose profiles they are ranked by."""

    recipients: frozenset[ModelKey]
    donors: frozenset[ModelKey]


def exchanges(models: Sequence[ModelKey]) -> dict[str, list[list[Exchange]]]:
    """Exchanges between families, by design: every inner list makes one ranking.

    With `ONE_FOR_OTHERS` each family in turn ranks all models but its own; with `OTHERS_FOR_ONE`
    each model is ranked by the models of all other families, in one ranking of the whole zoo.

    Raises:
        SelectionError: all models are of one family.
    """
    families: dict[str, set[ModelKey]] = {}
    for key in models:
        families.setdefault(family_of(key[0]), set()).add(key)
    if len(families) < 2:
        known = ", ".join(families) or "no"
        raise SelectionError(
            f"the {len(models)} models are of one family ({known}): there is no other architecture "
            "to carry a similarity to"
        )
    everyone = frozenset(models)
    parts = {family: frozenset(some) for family, some in sorted(families.items())}
    return {
        ONE_FOR_OTHERS: [[Exchange(everyone - some, some)] for some in parts.values()],
        OTHERS_FOR_ONE: [[Exchange(some, everyone - some) for some in parts.values()]],
    }


def judge_families(
    approaches: Mapping[str, Approach], held_out: HeldOutTasks, matches: BlockMatches | None = None
) -> pl.DataFrame:
    """Metrics of every approach by design and target, mean over the rankings of a design.

    Args:
        approaches: by name.
        held_out: the tasks, with profiles.
        matches: blocks of the models matched with each other, for approaches that need them.

    Returns:
        design, selector (the name of the approach), target, metric, value.

    Raises:
        SelectionError: all models are of one family, or a approach cannot rank some target.
    """
    models = sorted({key for task in held_out.tasks for key in task.truth.select(MODEL).rows()})
    found: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for design, rankings in exchanges(models).items():
        for task in held_out.tasks:
            for ranking in rankings:
                for name, scores in _scores(approaches, task, ranking, matches).items():
                    key = (design, name, task.problem.target)
                    found.setdefault(key, []).append(_judge(task, scores))
    rows = [
        (*key, metric, value)
        for key, some in found.items()
        for metric, value in _mean(some).items()
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _scores(
    approaches: Mapping[str, Approach],
    task: HeldOut,
    ranking: Sequence[Exchange],
    matches: BlockMatches | None,
) -> dict[str, dict[ModelKey, float]]:
    """Scores of every approach for the recipients of one ranking."""
    known = set(task.truth.select(MODEL).rows())
    whole = replace(task.problem, matches=matches)
    found: dict[str, dict[ModelKey, float]] = {name: {} for name in approaches}
    for exchange in ranking:
        # Of all approaches, so that the profiles are laid out once.
        carried = _with_donors(whole, exchange.donors)
        for name, approach in approaches.items():
            scorer = approach.selector.prepare(carried if approach.is_carried else whole)
            values = scorer.score(np.arange(len(scorer.models))[None]).values[0]
            wanted = exchange.recipients & known
            pairs = zip(scorer.models, values.tolist(), strict=True)
            found[name] |= {key: value for key, value in pairs if key in wanted}
    return found


def _judge(task: HeldOut, scores: Mapping[ModelKey, float]) -> dict[str, float]:
    """Metrics of one ranking; none where fewer than two of its models are known on the target."""
    truth = {(model, pretrained): value for model, pretrained, value in task.truth.rows()}
    average = task.problem.arrays.average_rank_of(sorted(scores))
    tie = dict(zip(sorted(scores), average.tolist(), strict=True))
    order = sorted(scores, key=lambda key: (tie[key], key))
    if len(order) < 2:
        return {}
    return evaluate_ranking([truth[key] for key in order], [scores[key] for key in order])


def _mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each metric over the rankings that could be judged."""
    known = [metrics for metrics in found if metrics]
    return {
        name: float(np.mean([metrics[name] for metrics in known])) for name in (known or [{}])[0]
    }


def _with_donors(problem: Problem, donors: frozenset[ModelKey]) -> Problem:
    """The same problem with the profiles of some models alone."""
    assert problem.profiles is not None
    keys = pl.DataFrame(sorted(donors), schema=dict.fromkeys(MODEL, pl.String), orient="row")
    kept = problem.profiles.join(keys, on=MODEL, how="semi", maintain_order="left")
    return replace(problem, profiles=kept)
