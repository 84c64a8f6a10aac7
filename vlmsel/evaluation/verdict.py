"""Which selector the evidence supports: a rule, applied to leave-one-outs, and its plain words.

A selector is *supported* when, in at least one table, its mean `ndcg5` is better than that of both
`average-rank` and `imagenet` (where the table has it) with a paired 95 % interval that excludes
zero, and in no table one of `ndcg5`, `tau` or `regret1` is worse than either rival's with such an
interval. Several supported selectors: the one with the largest mean gain over average rank.
None: `average-rank`. The rule is asymmetric on purpose: average rank needs no images.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import BASELINE, LeaveOneOut
from vlmsel.evaluation.metrics import METRICS
from vlmsel.evaluation.trust import Trust, trust
from vlmsel.selection.registry import make_selector, selector_names

# What the rule gives on the tables of docs/evaluation.md.
DEFAULT_SELECTOR = "average-rank"

DECISIVE = "ndcg5"
GUARDS = ("ndcg5", "tau", "regret1")
RIVALS = (BASELINE, "imagenet")
CHANCE = "random"
WORDS = {BASELINE: "average rank", "imagenet": "ImageNet accuracy"}


@dataclass(frozen=True)
class Verdict:
    """What the evidence says.

    Attributes:
        selector: the supported one, or `average-rank`.
        comparisons: table, selector, rival, metric, n_targets, delta, delta_low, delta_high,
            outcome ("better", "worse" or "open").
        trust: table to the expected regret of `selector` there.
        untrusted: tables in which the `tau` of `selector` is not clearly above that of `random`,
            or above 0; its ranking means nothing there.
    """

    selector: str
    comparisons: pl.DataFrame
    trust: dict[str, Trust]
    untrusted: tuple[str, ...]

    @property
    def paragraph(self) -> str:
        """The verdict in plain words."""
        several = len(self.trust) > 1
        parts = [self._choice()]
        for table, one in self.trust.items():
            parts.append(f"On {table}: {one.worth}" if several else one.worth)
        for table in self.untrusted:
            where = f"On {table} no" if several else "No"
            parts.append(f"{where} ranking can be trusted: it is not clearly better than chance.")
        return " ".join(parts)

    def _choice(self) -> str:
        """Which selector, and why."""
        rivals = " and ".join(
            WORDS[name] for name in self.comparisons["rival"].unique(maintain_order=True)
        )
        candidates = sorted(set(self.comparisons["selector"]) - {*RIVALS, CHANCE, *_oracles()})
        several = len(self.trust) > 1
        if self.selector != BASELINE:
            nowhere = " in any table" if several else ""
            return (
                f"Use {self.selector}: it beats {rivals} on {DECISIVE} with an interval that "
                f"excludes zero, and is clearly worse in none of {', '.join(GUARDS)}{nowhere}."
            )
        if not candidates:
            return f"Use {BASELINE}: nothing was compared that could replace it.{self._imagenet()}"
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
            f"Use {BASELINE}: {who} {rivals} on {DECISIVE} with an interval that excludes zero "
            f"and without a clear loss in {', '.join(GUARDS)}{without_loss}."
            f"{images}{self._imagenet()}"
        )

    def _imagenet(self) -> str:
        """Where the other rival is the better one; it takes no part as a candidate."""
        better = self.comparisons.filter(
            selector="imagenet", rival=BASELINE, metric=DECISIVE, outcome="better"
        )
        if better.is_empty():
            return ""
        return f" ImageNet accuracy is clearly better than average rank in {DECISIVE} here."


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
    selector = _supported(comparisons)
    worth = {
        table: trust(result, selector, seed=seed)
        for table, result in evidence.items()
        if selector in result.metrics["selector"]
    }
    chance = comparisons.filter(rival=CHANCE, selector=selector, metric="tau")
    like_chance = set(chance.filter(pl.col("outcome") != "better")["table"])
    return Verdict(
        selector=selector,
        comparisons=comparisons.filter(pl.col("rival") != CHANCE),
        trust=worth,
        untrusted=tuple(
            table for table, one in worth.items() if table in like_chance or not one.beats_chance
        ),
    )


def _comparisons(table: str, result: LeaveOneOut, rival: str, seed: int) -> pl.DataFrame:
    sign = {name: 1 if metric.higher_is_better else -1 for name, metric in METRICS.items()}
    up = pl.col("metric").replace_strict(sign)
    gains = [pl.col(end) * up for end in ("delta_low", "delta_high")]
    outcome = (
        pl.when(pl.min_horizontal(gains) > 0)
        .then(pl.lit("better"))
        .when(pl.max_horizontal(gains) < 0)
        .then(pl.lit("worse"))
        .otherwise(pl.lit("open"))
    )
    summary = result.summary(seed=seed, baseline=rival)
    names = [pl.lit(table).alias("table"), "selector", pl.lit(rival).alias("rival"), "metric"]
    deltas = ["n_targets", "delta", "delta_low", "delta_high"]
    return summary.filter(pl.col("selector") != rival).select(*names, *deltas, outcome=outcome)


def _supported(comparisons: pl.DataFrame) -> str:
    """The candidate that the rule names."""
    rivals = comparisons.filter(
        pl.col("rival").is_in(RIVALS),
        ~pl.col("selector").is_in(_oracles()),
        pl.col("metric").is_in(GUARDS),
    )
    loses = rivals.filter(outcome="worse")["selector"]
    wins = (
        rivals.filter(metric=DECISIVE)
        .group_by("selector", "table")
        .agg(
            all_better=(pl.col("outcome") == "better").all(),
            gain=pl.col("delta").filter(rival=BASELINE).sum(),
        )
        .filter("all_better", ~pl.col("selector").is_in([*loses, *RIVALS]))
    )
    if wins.is_empty():
        return BASELINE
    best = wins.group_by("selector").agg(pl.col("gain").mean())
    return best.sort("gain", "selector", descending=[True, False])["selector"][0]


def _oracles() -> list[str]:
    """Selectors that look at the truth and so are no candidates."""
    return [name for name in selector_names() if make_selector(name).oracle]


def _looks_at_images(name: str) -> bool:
    return name in selector_names() and make_selector(name).needs_profiles
