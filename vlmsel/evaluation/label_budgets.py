"""Leave-one-out of selectors that take labels, at several numbers of labels.

A selector with n labels is called ``NAME@n`` and stands in the same tables as the others. The hits
are simulated from the target's accuracies (`simulated_labels`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import Extras, HeldOut, HeldOutTasks, hold_out
from vlmsel.evaluation.judgement_cache import JudgementCache, cache_of
from vlmsel.evaluation.leave_one_out import (
    LeaveOneOut,
    judge,
    leave_one_out,
    name_selectors,
    narrow_to_extras,
)
from vlmsel.evaluation.simulated_labels import draw_hits, target_rng
from vlmsel.selection.labelled_hits import LabelledHits
from vlmsel.selection.selector import Selector
from vlmsel.selection.zoo_answers import ZooAnswers

MARK = "@"
N_DRAWS = 10
# No two seeds share a draw.
DRAWS_OF_A_SEED = 10_000


@dataclass(frozen=True)
class Budgets:
    """Settings of simulated labels.

    Attributes:
        labels: numbers of labelled images.
        rho: correlation of the models' hits.
        n_draws: draws of labelled images; metrics are means over them.
        seed: of the draws.
    """

    labels: tuple[int, ...]
    rho: float = 0.5
    n_draws: int = N_DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        if not self.labels or min(self.labels) < 0 or self.n_draws < 1:
            raise SelectionError("numbers of labels must be 0 or more, and draws 1 or more")


def number_of_labels(name: str) -> int:
    """Labels that a selector in a table takes: 25 of ``posterior@25``, 0 of ``dcd``."""
    number = name.rpartition(MARK)[2]
    return int(number) if MARK in name and number.isdigit() else 0


def without_labels(name: str) -> str:
    """Name of the selector: ``posterior`` of ``posterior@25``."""
    return name.rpartition(MARK)[0] if MARK in name else name


def leave_one_out_with_labels(
    selectors: Sequence[Selector] | Mapping[str, Selector],
    accuracies: pl.DataFrame,
    profiles: pl.DataFrame | pl.LazyFrame | None,
    budgets: Budgets | None,
    answers: Mapping[str, ZooAnswers] | None = None,
    *,
    is_cached: bool = False,
    extras: Extras | None = None,
) -> LeaveOneOut:
    """Leave one out, with labels for the selectors that take some.

    Args:
        selectors: as for `leave_one_out`.
        accuracies: likewise.
        profiles: likewise.
        budgets: numbers of labels and how they are drawn; None is `leave_one_out`.
        answers: as for `leave_one_out`.
        is_cached: as for `leave_one_out`.
        extras: as for `leave_one_out`.

    Raises:
        SelectionError: as `leave_one_out`.
    """
    if budgets is None:
        return leave_one_out(
            selectors, accuracies, profiles, answers=answers, is_cached=is_cached, extras=extras
        )
    named = name_selectors(selectors)
    needy = [name for name, selector in named.items() if selector.needs_profiles]
    if needy and profiles is None:
        raise SelectionError(f"selector {needy[0]!r} needs profiles and none are given")
    entries = cache_of(accuracies, profiles, answers) if is_cached else None
    if entries and extras:
        entries = narrow_to_extras(entries, extras)
    held_out = hold_out(accuracies, profiles, answers=answers, extras=extras)
    return judge_with_labels(named, held_out, budgets, entries)


def judge_with_labels(
    named: Mapping[str, Selector],
    held_out: HeldOutTasks,
    budgets: Budgets,
    entries: JudgementCache | None = None,
) -> LeaveOneOut:
    """Let every selector rank every held-out task; those that take labels once a number of them.

    Args:
        named: selectors by name.
        held_out: the targets.
        budgets: numbers of labels and how they are drawn.
        entries: of the cache, about these targets; None judges anew.

    Returns:
        Metrics of a selector with labels are means over its draws; its rankings are those of the
        first draw.

    Raises:
        SelectionError: no selector could rank any task.
    """
    plain = {name: selector for name, selector in named.items() if not selector.takes_labels}
    takers = {name: selector for name, selector in named.items() if selector.takes_labels}
    results = [judge(plain, held_out, entries)] if plain else []
    for n in sorted(set(budgets.labels)):
        at = {f"{name}{MARK}{n}": selector for name, selector in takers.items()}
        if at:
            draws = budgets.n_draws if n else 1
            drawn = [
                judge(at, _show_hits(held_out, n, i, budgets), _draw_cache(entries, n, i, budgets))
                for i in range(draws)
            ]
            results.append(_mean(drawn))
    if not results:
        raise SelectionError("there is no selector to judge")
    return LeaveOneOut(
        *(
            pl.concat([getattr(result, part) for result in results])
            for part in ("metrics", "rankings", "weights")
        ),
        left_out=pl.concat([result.left_out for result in results]).unique(maintain_order=True),
    )


def _draw_cache(
    entries: JudgementCache | None, n: int, draw: int, budgets: Budgets
) -> JudgementCache | None:
    """The entries of the cache about one draw."""
    if entries is None:
        return None
    # The hits on n images depend on the largest number, see `_hits`.
    most = max(budgets.labels)
    return entries.narrow(n=n, draw=draw, most=most, rho=budgets.rho, seed=budgets.seed)


def _show_hits(held_out: HeldOutTasks, n: int, draw: int, budgets: Budgets) -> HeldOutTasks:
    """The targets with hits on n images, the first of those that a larger number shows."""
    if n == 0:
        return held_out
    tasks = tuple(
        replace(task, problem=task.problem.with_hits(_hits(task, n, draw, budgets)))
        for task in held_out.tasks
    )
    return HeldOutTasks(tasks, held_out.left_out)


def _hits(task: HeldOut, n: int, draw: int, budgets: Budgets) -> LabelledHits:
    truth = task.truth.sort(MODEL)
    rng = target_rng(budgets.seed * DRAWS_OF_A_SEED + draw, task.problem.target)
    # As many images for every number of labels, so that the first n are the same.
    accuracy = truth["accuracy"].to_numpy()
    hits = draw_hits(accuracy, max(budgets.labels), 1, budgets.rho, rng)[0, :n]
    return LabelledHits(tuple(truth.select(MODEL).rows()), hits.astype(float))


def _mean(results: Sequence[LeaveOneOut]) -> LeaveOneOut:
    """Means over draws; rankings of the first."""
    keys = ["selector", "target", "n_models", "n_sources", "metric"]
    metrics = pl.concat([result.metrics for result in results])
    values = metrics.group_by(keys, maintain_order=True).agg(pl.col("value").mean())
    return replace(results[0], metrics=values)
