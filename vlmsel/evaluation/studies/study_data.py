"""Input of the studies, and leave-one-out under changed profiles."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import polars as pl

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import HeldOut, HeldOutTasks, hold_out
from vlmsel.evaluation.leave_one_out import BASELINE, judge
from vlmsel.evaluation.paired_bootstrap import paired_bootstrap
from vlmsel.selection.profiles import task_profiles
from vlmsel.selection.selector import Selector

Condition = Mapping[str, float | str]


@dataclass(frozen=True)
class StudyData:
    """Input of a study.

    Attributes:
        accuracies: model, pretrained, task, acc1.
        profiles: long profiles by the name of their variant (attribution, granularity); the first
            is the one that all other studies use.
        selectors: by name.
        repeats: random draws per condition; their values are averaged on each target.
        seed: of the draws.
    """

    accuracies: pl.DataFrame
    profiles: Mapping[str, pl.DataFrame]
    selectors: Mapping[str, Selector]
    repeats: int = 5
    seed: int = 0

    @property
    def reference(self) -> pl.DataFrame:
        """The profiles of the first variant.

        Raises:
            SelectionError: There are none.
        """
        found = next(iter(self.profiles.values()), None)
        if found is None or found.is_empty():
            msg = "a study needs profiles; run `vlmsel profile` or import published ones"
            raise SelectionError(msg)
        return found

    @property
    def held_out(self) -> HeldOutTasks:
        """The targets under the reference profiles."""
        return hold_out(self.accuracies, self.reference)


def with_profiles(
    held_out: HeldOutTasks, change: Callable[[HeldOut, pl.DataFrame], pl.DataFrame]
) -> HeldOutTasks:
    """The same targets with other task profiles.

    Args:
        held_out: as of `hold_out`, with profiles.
        change: given a target and its profiles (of target and sources), what they become.
    """
    tasks = []
    for task in held_out.tasks:
        before = task.problem.profiles
        if before is None:
            msg = f"{task.problem.target} has no profiles to change"
            raise SelectionError(msg)
        tasks.append(replace(task, problem=replace(task.problem, profiles=change(task, before))))
    return HeldOutTasks(tuple(tasks), held_out.left_out)


def evaluate_conditions(
    conditions: Iterable[tuple[Condition, HeldOutTasks]], selectors: Mapping[str, Selector]
) -> pl.DataFrame:
    """Leave-one-out under every condition; equal conditions are repeats and averaged by target.

    Returns:
        The columns of the condition, then those of `paired_bootstrap` against average rank.
    """
    metrics: dict[tuple[tuple[str, float | str], ...], list[pl.DataFrame]] = {}
    for condition, held_out in conditions:
        measured = judge(selectors, held_out).metrics
        metrics.setdefault(tuple(condition.items()), []).append(measured)
    parts = []
    for condition, repeats in metrics.items():
        keys = ["selector", "target", "metric"]
        mean = pl.concat(repeats).group_by(keys, maintain_order=True).agg(pl.col("value").mean())
        summary = paired_bootstrap(mean, n_bootstrap=2000, baseline=BASELINE)
        names = [pl.lit(value).alias(name) for name, value in condition]
        parts.append(summary.select(*names, pl.all()))
    return pl.concat(parts, how="vertical_relaxed")


def swap_task(profiles: pl.DataFrame, other: pl.DataFrame, task: str) -> pl.DataFrame:
    """`profiles` with the rows of one task taken from `other`, for the same models."""
    known = profiles.select(MODEL).unique()
    new = other.filter(pl.col("task") == task).join(known, on=MODEL, how="semi")
    return pl.concat([profiles.filter(pl.col("task") != task), new])


def common_cells(frames: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Task profiles of every variant, on the models and tasks that all of them have.

    Raises:
        SelectionError: They have none in common.
    """
    tables = {name: task_profiles(frame) for name, frame in frames.items()}
    keys = [*MODEL, "task"]
    common = next(iter(tables.values())).select(keys)
    for table in tables.values():
        common = common.join(table, on=keys, how="semi")
    if common.is_empty():
        msg = f"the variants {', '.join(tables)} have no model and task in common"
        raise SelectionError(msg)
    return {name: table.join(common, on=keys, how="semi") for name, table in tables.items()}
