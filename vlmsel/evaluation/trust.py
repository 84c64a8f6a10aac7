"""Worth of a ranking for a new task, as leave-one-out on the known tasks tells it."""

from dataclasses import dataclass

import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.evaluation.calibration import Coverage, held_out_coverage
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.metrics import TOP
from vlmsel.evaluation.paired_bootstrap import MIN_TARGETS, paired_bootstrap

# Intervals that promise 95 % and hold less than this deserve a warning.
NARROW = 0.9


@dataclass(frozen=True)
class Trust:
    """Quality of a selector's first choice on the known tasks.

    Attributes:
        selector: its name.
        n_tasks: tasks that it has ranked.
        regret: mean loss of accuracy of the first choice against the best model.
        regret_low: lower end of its 95 % interval over tasks.
        regret_high: upper end.
        n_in_top: tasks on which the first choice was among the true best `TOP`.
        n_models: smallest and largest zoo of a task.
        beats_chance: its mean tau over tasks is above 0, the tau of chance, with an interval that
            excludes 0.
        n_ranked: models of the ranking that this stands under; None where there is none.
        coverage: of the 95 % intervals of the true ranks, those of each task made of the others;
            None with one task.
    """

    selector: str
    n_tasks: int
    regret: float
    regret_low: float
    regret_high: float
    n_in_top: int
    n_models: tuple[int, int]
    beats_chance: bool = True
    coverage: Coverage | None = None
    n_ranked: int | None = None

    @property
    def is_enough(self) -> bool:
        """True if there are enough tasks to say anything of other tasks."""
        return self.n_tasks >= MIN_TARGETS

    @property
    def sentence(self) -> str:
        """The line to print under a ranking, with a warning where it is worth nothing."""
        if self.beats_chance or not self.is_enough:
            return self.worth
        return (
            f"{self.worth} Do not trust this ranking: there, that of {self.selector} was not "
            "clearly better than chance (the 95 % interval of its mean tau includes 0)."
        )

    @property
    def worth(self) -> str:
        """Sentence on the first choice: its cost, how often it was good, whether intervals hold."""
        if not self.is_enough:
            return (
                f"Nothing can be said of how good the ranking of {self.selector} is: "
                f"{self.n_tasks} known tasks are too few, "
                f"{MIN_TARGETS} are needed."
            )
        return (
            f"In leave-one-out over {self.n_tasks} tasks the first choice of {self.selector} lost "
            f"{100 * self.regret:.1f} points of accuracy to the best model (95 % interval "
            f"{100 * self.regret_low:.1f} to {100 * self.regret_high:.1f}){self._in_top}."
            f"{self._held}"
        )

    @property
    def _zoo(self) -> str:
        smallest, largest = self.n_models
        return f"{largest}" if smallest == largest else f"{smallest} to {largest}"

    @property
    def _in_top(self) -> str:
        if self.n_models[1] <= TOP:
            return ""  # every model of so small a zoo is among the best 5
        return (
            f" and was among the true best {TOP} of {self._zoo} models on {self.n_in_top} of "
            f"{self.n_tasks} tasks"
        )

    @property
    def _held(self) -> str:
        if self.coverage is None:
            return ""
        share, low, high = (f"{100 * part:.0f}" for part in self.coverage[:3])
        smallest, largest = self.n_models
        wide = f"{100 * self.coverage.first:.0f} % of the places"
        if smallest == largest:
            wide = f"{max(1, round(self.coverage.first * largest))} of {largest} places"
        scaled = ""
        if self.n_ranked is not None and self.n_ranked > largest:
            scaled = f" The errors of these zoos are scaled to the {self.n_ranked} models here."
        weak = " These intervals promise too much." if self.coverage.share < NARROW else ""
        held = f"held {share} % of a task's ranks in the mean (95 % interval {low} to {high})"
        if self.coverage.low == self.coverage.high:
            # All tasks alike: resampling them knows no other value.
            held = f"held {share} % of the ranks on each of the {self.n_tasks} tasks"
        return (
            " The 95 % intervals of true ranks, made for each task from the errors on the others, "
            f"{held}; that of the first choice spans {wide}.{weak}{scaled}"
        )


def trust(result: LeaveOneOut, selector: str, *, seed: int = 0) -> Trust:
    """Summarise a leave-one-out for one selector.

    A first choice is among the true best 5 when fewer than 5 models are strictly better.

    Raises:
        SelectionError: The selector has ranked no task.
    """
    metrics = result.metrics.filter(selector=selector, metric="regret1")
    if metrics.is_empty():
        known = ", ".join(result.metrics["selector"].unique().sort())
        msg = f"leave-one-out has no ranking by {selector!r}, only by {known}"
        raise SelectionError(msg)
    row = paired_bootstrap(metrics, seed=seed, baseline=selector).row(0, named=True)
    order = result.metrics.filter(selector=selector, metric="tau")
    agreement = paired_bootstrap(order, seed=seed, baseline=selector).row(0, named=True)
    ranked = result.rankings.filter(selector=selector).with_columns(
        better=pl.col("accuracy").rank("min", descending=True).over("target") - 1
    )
    first = ranked.filter(rank=1)
    sizes = metrics["n_models"].to_numpy()
    return Trust(
        selector=selector,
        n_tasks=len(metrics),
        regret=row["mean"],
        regret_low=row["low"],
        regret_high=row["high"],
        n_in_top=int((first["better"] < TOP).sum()),
        n_models=(int(sizes.min()), int(sizes.max())),
        beats_chance=agreement["low"] > 0,
        coverage=held_out_coverage(result, selector),
    )
