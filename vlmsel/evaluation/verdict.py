"""Verdict on the selectors: a rule, applied to leave-one-outs, and its plain words.

A selector is *supported* when, in at least one table, its mean `ndcg5` is better than that of both
`average-rank` and `imagenet` (where the table has it, and but for itself) with a paired 95 %
interval that excludes zero, and in no table one of `ndcg5`, `tau` or `regret1` is worse than either
rival's with such an interval. Several supported selectors: the one with the largest mean gain over
average rank. None: `average-rank`. The rule is asymmetric on purpose: average rank needs no images.

Selectors with labels (`posterior@25`) are judged by the same rule and named beside the choice that
needs none: the fewest labels that are supported and gain more than that choice does. Tables of
fewer than `MIN_TARGETS` tasks say nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.evaluation.label_budgets import number_of_labels, without_labels
from vlmsel.evaluation.leave_one_out import BASELINE, LeaveOneOut
from vlmsel.evaluation.metrics import METRICS
from vlmsel.evaluation.paired_bootstrap import MIN_TARGETS
from vlmsel.evaluation.trust import Trust, trust
from vlmsel.selection.registry import make_selector, selector_names

DECISIVE = "ndcg5"
GUARDS = ("ndcg5", "tau", "regret1")
IMAGENET = "imagenet"  # the selector
RIVALS = (BASELINE, IMAGENET)
CHANCE = "random"
WORDS = {BASELINE: "average rank", IMAGENET: "ImageNet accuracy"}


@dataclass(frozen=True)
class Verdict:
    """Selectors that the evidence supports.

    Attributes:
        selector: the supported one that needs no labels, or `average-rank`.
        labelled: the supported one with labels, such as `posterior@25`; None where there is none.
        comparisons: table, selector, rival, metric, n_targets, delta, delta_low, delta_high,
            outcome ("better", "worse" or "open"; always open with fewer tasks than `MIN_TARGETS`).
        trust: table to the expected regret of `selector` there.
        labelled_trust: the same of `labelled`.
        untrusted: tables in which the `tau` of `selector` is not clearly above that of `random`,
            or above 0; its ranking means nothing there.
        too_few: tables with fewer tasks than `MIN_TARGETS`, and how many they have.
    """

    selector: str
    comparisons: pl.DataFrame
    trust: dict[str, Trust]
    untrusted: tuple[str, ...]
    labelled: str | None = None
    labelled_trust: dict[str, Trust] | None = None
    too_few: dict[str, int] | None = None

    @property
    def n_labels(self) -> int:
        """Labels that the choice of `labelled` takes; 0 where there is none."""
        return number_of_labels(self.labelled) if self.labelled else 0

    @property
    def paragraph(self) -> str:
        """The verdict in plain words."""
        few = self.too_few or {}
        if few and len(few) == len(self.trust):
            counts = " and ".join(map(str, sorted(set(few.values()))))
            return (
                f"Nothing can be said of which selector is better: {counts} tasks are too few, "
                f"{MIN_TARGETS} are needed. {BASELINE} is used for want of evidence."
            )
        parts = []
        if self.labelled:
            parts += [self._labelled_choice(), *self._worth(self.labelled_trust or {})]
        parts += [self._choice(), *self._worth(self.trust)]
        for table in self.untrusted:
            if table in few:
                continue
            where = f"On {table} no" if len(self.trust) > 1 else "No"
            parts.append(f"{where} ranking can be trusted: it is not clearly better than chance.")
        return " ".join(parts)

    def _worth(self, judged: Mapping[str, Trust]) -> list[str]:
        several = len(judged) > 1
        return [
            f"On {table}: {trust.worth}" if several else trust.worth
            for table, trust in judged.items()
        ]

    def _labelled_choice(self) -> str:
        """Say how many labels a choice takes, what they gain, and what more of them do."""
        name = without_labels(self.labelled or "")
        gains = self.comparisons.filter(
            pl.col("selector").is_in(_with_labels(self.comparisons["selector"], name)),
            rival=BASELINE,
            metric=DECISIVE,
        )
        mean = gains.group_by("selector").agg(pl.col("delta").mean())
        gain = {number_of_labels(selector): value for selector, value in mean.rows()}
        more = [n for n in sorted(gain) if n > self.n_labels]
        further = ", ".join(f"{gain[n]:+.3f} with {n}" for n in more)
        return (
            f"With {self.n_labels} labelled images, drawn at random, use {name}: it beats "
            f"{self._rivals(self.labelled or '')} on {DECISIVE} with an interval that excludes "
            f"zero ({gain[self.n_labels]:+.3f} over average rank"
            f"{f'; {further}' if further else ''}), and is clearly worse in none of "
            f"{', '.join(GUARDS)}."
        )

    def _rivals(self, selector: str) -> str:
        rivals = self.comparisons.filter(selector=selector)["rival"].unique(maintain_order=True)
        return " and ".join(WORDS[name] for name in rivals)

    def _choice(self) -> str:
        """Name the selector without labels, and say why."""
        names = set(self.comparisons["selector"])
        unlabelled = {name for name in names if not number_of_labels(name)}
        candidates = sorted({without_labels(name) for name in unlabelled if "@" not in name})
        candidates = [n for n in candidates if n not in {*RIVALS, CHANCE, *_oracles()}]
        several = len(self.trust) > 1
        use = f"Without labels use {self.selector}" if self.labelled else f"Use {self.selector}"
        if self.selector != BASELINE:
            nowhere = " in any table" if several else ""
            return (
                f"{use}: it beats {self._rivals(self.selector)} on {DECISIVE} with an interval "
                f"that excludes zero, and is clearly worse in none of {', '.join(GUARDS)}{nowhere}."
            )
        if not candidates:
            return f"{use}: nothing was compared that could replace it.{self._imagenet()}"
        who = (
            f"{candidates[0]} does not beat"
            if len(candidates) == 1
            else f"none of {', '.join(candidates)} beats"
        )
        without_loss = " in any table" if several else ""
        images = (
            " Looking at the target's images has not been shown to help."
            if any(_looks_at_images(name) for name in candidates)
            else ""
        )
        return (
            f"{use}: {who} {self._rivals(candidates[0])} on {DECISIVE} with an interval that "
            f"excludes zero and without a clear loss in {', '.join(GUARDS)}{without_loss}."
            f"{images}{self._imagenet()}"
        )

    def _imagenet(self) -> str:
        """Say that ImageNet accuracy is better, if it is, but with losses elsewhere."""
        against = self.comparisons.filter(selector=IMAGENET, rival=BASELINE)
        if against.filter(metric=DECISIVE, outcome="better").is_empty():
            return ""
        lost = against.filter(pl.col("metric").is_in(GUARDS), outcome="worse")["metric"]
        worse = ", ".join(lost.unique(maintain_order=True))
        return (
            f" ImageNet accuracy is clearly better than average rank in {DECISIVE} here, and "
            f"clearly worse in {worse}."
        )


def judge_evidence(evidence: Mapping[str, LeaveOneOut], *, seed: int = 0) -> Verdict:
    """Apply the rule.

    Args:
        evidence: leave-one-outs by the name of their table; each must hold `average-rank`.
        seed: of the bootstraps.

    Raises:
        SelectionError: There is no evidence, or a table lacks `average-rank`.
    """
    for table, result in evidence.items():
        if BASELINE not in result.metrics["selector"]:
            msg = f"{table} holds no {BASELINE}; evaluate it too, everything is judged against it"
            raise SelectionError(msg)
    if not evidence:
        msg = "a verdict needs at least one leave-one-out"
        raise SelectionError(msg)
    comparisons = pl.concat(
        _comparisons(table, result, rival, seed)
        for table, result in evidence.items()
        for rival in (*RIVALS, CHANCE)
        if rival in result.metrics["selector"]
    )
    selector, labelled = _find_supported(comparisons)
    worth = _trust(evidence, selector, seed)
    chance = comparisons.filter(rival=CHANCE, selector=selector, metric="tau")
    like_chance = set(chance.filter(pl.col("outcome") != "better")["table"])
    counts = {table: result.metrics["target"].n_unique() for table, result in evidence.items()}
    return Verdict(
        selector=selector,
        comparisons=comparisons.filter(pl.col("rival") != CHANCE),
        trust=worth,
        untrusted=tuple(
            table
            for table, trust in worth.items()
            if table in like_chance or not trust.beats_chance
        ),
        labelled=labelled,
        labelled_trust=_trust(evidence, labelled, seed) if labelled else None,
        too_few={table: n for table, n in counts.items() if n < MIN_TARGETS},
    )


def _trust(evidence: Mapping[str, LeaveOneOut], selector: str, seed: int) -> dict[str, Trust]:
    return {
        table: trust(result, selector, seed=seed)
        for table, result in evidence.items()
        if selector in result.metrics["selector"]
    }


def _comparisons(table: str, result: LeaveOneOut, rival: str, seed: int) -> pl.DataFrame:
    sign = {name: 1 if metric.higher_is_better else -1 for name, metric in METRICS.items()}
    up = pl.col("metric").replace_strict(sign)
    gains = [pl.col(end) * up for end in ("delta_low", "delta_high")]
    outcome = (
        pl.when(pl.col("n_targets") < MIN_TARGETS)
        .then(pl.lit("open"))
        .when(pl.min_horizontal(gains) > 0)
        .then(pl.lit("better"))
        .when(pl.max_horizontal(gains) < 0)
        .then(pl.lit("worse"))
        .otherwise(pl.lit("open"))
    )
    summary = result.summary(seed=seed, baseline=rival)
    names = [pl.lit(table).alias("table"), "selector", pl.lit(rival).alias("rival"), "metric"]
    deltas = ["n_targets", "delta", "delta_low", "delta_high"]
    return summary.filter(pl.col("selector") != rival).select(*names, *deltas, outcome=outcome)


def _find_supported(comparisons: pl.DataFrame) -> tuple[str, str | None]:
    """The candidates that the rule names: without labels, and with the fewest labels."""
    rivals = comparisons.filter(
        pl.col("rival").is_in(RIVALS),
        ~pl.col("selector").is_in([*_oracles(), BASELINE]),
        pl.col("metric").is_in(GUARDS),
    )
    loses = rivals.filter(outcome="worse")["selector"].unique()
    wins = (
        rivals.filter(metric=DECISIVE)
        .group_by("selector", "table")
        .agg(
            all_better=(pl.col("outcome") == "better").all(),
            gain=pl.col("delta").filter(rival=BASELINE).sum(),
        )
        .filter("all_better", ~pl.col("selector").is_in(loses.implode()))
    )
    gains = wins.group_by("selector").agg(pl.col("gain").mean())
    ordered = gains.sort("gain", "selector", descending=[True, False]).rows()
    free = [row for row in ordered if not number_of_labels(row[0])]
    choice, gain = free[0] if free else (BASELINE, 0.0)
    labelled = [name for name, more in ordered if number_of_labels(name) and more > gain]
    # Sorting keeps the larger gain first among equal numbers of labels.
    return choice, min(labelled, key=number_of_labels, default=None)


def _with_labels(names: Iterable[str], selector: str) -> list[str]:
    """Of `names`, those that are this selector with labels."""
    return [name for name in names if number_of_labels(name) and without_labels(name) == selector]


def _oracles() -> list[str]:
    """Selectors that look at the truth and so are no candidates."""
    return [name for name in selector_names() if make_selector(name).oracle]


def _looks_at_images(name: str) -> bool:
    if name not in selector_names():
        return False
    made = make_selector(name)
    return made.needs_profiles or made.needs_answers
