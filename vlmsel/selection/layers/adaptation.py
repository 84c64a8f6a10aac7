"""A model adapted to a task by silencing one layer, with the gain that can honestly be expected."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vlmsel.selection.layers.changes import agresti_min, mid_p, wilson_lower
from vlmsel.selection.layers.knockout_answers import LayerAnswers, Outcomes
from vlmsel.selection.layers.rules import (
    RULE_OF,
    Rule,
    RuleName,
    default_rule,
    folds,
    halves,
    tied_best,
)

N_FOLDS = 5
RESAMPLES = 200


@dataclass(frozen=True)
class HeldOutGain:
    """A choice made on one half of the items and judged on the other.

    Attributes:
        layer: that was chosen on the first half; None for the base.
        n_items: of the other half.
        gained, lost: on the other half.
        low, high: 95 % interval of the gain there (Agresti-Min).
    """

    layer: str | None
    n_items: int
    gained: int = 0
    lost: int = 0
    low: float = 0.0
    high: float = 0.0

    @property
    def gain(self) -> float:
        """Accuracy gained on the other half."""
        return (self.gained - self.lost) / max(1, self.n_items)


@dataclass(frozen=True)
class Adaptation:
    """Adaptation of one model to one task by a rule.

    Attributes:
        key: model, pretrained, task.
        rule: by which it was chosen.
        layer: to be silenced; None: the base stays as it is.
        proposed: what the rule chose on all items, whether or not it is used.
        verdict: why the layer is silenced, or why not, in one line.
        optimistic_gain: of the proposed layer on the very items it was chosen on.
        cross_fit_gain: mean gain over five folds, each scored by the choice made without it; None
            with too few items.
        held_out: the rule on one half, judged on the other.
        shares: share of bootstrap resamples in which the rule chooses a layer; `base` among them.
        ties: layers that share the largest gain on all items, where there are several.
        base_accuracy, accuracy: without and with the proposed layer, on all items.
        chance, majority: accuracy of guessing, and of the most frequent label.
        mid_p: of the proposed layer, not corrected; times `n_candidates` it is.
        n_items, n_candidates, seed: what it was chosen from.
    """

    key: tuple[str, str, str]
    rule: RuleName
    layer: str | None
    proposed: str | None
    verdict: str
    optimistic_gain: float
    cross_fit_gain: float | None
    held_out: HeldOutGain
    shares: Mapping[str, float]
    base_accuracy: float
    accuracy: float
    chance: float
    majority: float
    mid_p: float
    n_items: int
    n_candidates: int
    seed: int
    ties: tuple[str, ...] = field(default=())

    @property
    def variant(self) -> str | None:
        """Name of the adapted model for a zoo: ``MODEL@vision.0``."""
        return None if self.layer is None else f"{self.key[0]}@{self.layer}"


def adapt(
    answers: LayerAnswers,
    *,
    rule: RuleName | None = None,
    seed: int = 0,
    n_resamples: int = RESAMPLES,
) -> Adaptation:
    """Choose a layer to silence, or keep the base, and say what can be expected of it.

    A choice is used only if its accuracy is above chance and the cross-fitted gain of the whole
    rule is above zero; without enough items for a cross-fit, the half that it was not
    chosen on must gain.

    Args:
        answers: of one model on labelled items of one task.
        rule: by name; `evidence` below 100 items and `confirm` from there on by default.
        seed: of every random split.
        n_resamples: bootstrap resamples for the stability of the choice.
    """
    outcomes = answers.outcomes
    name = rule or default_rule(outcomes.n_items)
    choose = RULE_OF[name]
    choice = choose(outcomes, np.random.default_rng([seed, 0]))
    fitted = cross_fit(outcomes, choose, seed=seed)
    held = hold_half_out(answers, choose, seed=seed)
    gained, lost = outcomes.changes()
    up, down = (int(gained[choice]), int(lost[choice])) if choice is not None else (0, 0)
    base = float(outcomes.base.mean()) if outcomes.n_items else 0.0
    gain = (up - down) / max(1, outcomes.n_items)
    proposed = None if choice is None else answers.layers[choice]
    verdict, is_used = _verdict(answers, choice, fitted, held)
    best = tied_best(outcomes.gains())
    return Adaptation(
        key=answers.key,
        rule=name,
        layer=proposed if is_used else None,
        proposed=proposed,
        verdict=verdict,
        optimistic_gain=gain,
        cross_fit_gain=fitted,
        held_out=held,
        shares=choice_shares(answers, choose, seed=seed, n_resamples=n_resamples),
        base_accuracy=base,
        accuracy=base + gain,
        chance=answers.chance,
        majority=answers.majority,
        mid_p=mid_p(up, down),
        n_items=outcomes.n_items,
        n_candidates=outcomes.n_candidates,
        seed=seed,
        ties=tuple(answers.layers[number] for number in best) if len(best) > 1 else (),
    )


def cross_fit(
    outcomes: Outcomes, choose: Rule, *, seed: int = 0, n_folds: int = N_FOLDS
) -> float | None:
    """Mean gain of a whole rule over folds: chosen without the fold, scored on it, 0 for the base.

    Returns:
        None with fewer than two images per fold.
    """
    if len(np.unique(outcomes.groups)) < 2 * n_folds:
        return None
    generator = np.random.default_rng([seed, 1])
    total = 0.0
    for number, fold in enumerate(folds(outcomes.groups, n_folds, generator)):
        rest = np.setdiff1d(np.arange(outcomes.n_items), fold)
        choice = choose(outcomes.take(rest), np.random.default_rng([seed, 2, number]))
        if choice is not None:
            total += float(outcomes.take(fold).gains()[choice]) * len(fold)
    return total / outcomes.n_items


def hold_half_out(answers: LayerAnswers, choose: Rule, *, seed: int = 0) -> HeldOutGain:
    """The rule on a random half, judged on the other half."""
    generator = np.random.default_rng([seed, 3])
    first, second = halves(answers.outcomes.groups, generator)
    choice = choose(answers.outcomes.take(first), generator) if len(first) else None
    if choice is None:
        return HeldOutGain(None, len(second))
    held = answers.outcomes.take(second)
    gained, lost = (int(counts[choice]) for counts in held.changes())
    _, low, high = agresti_min(gained, lost, held.n_items)
    return HeldOutGain(answers.layers[choice], held.n_items, gained, lost, low, high)


def choice_shares(
    answers: LayerAnswers, choose: Rule, *, seed: int = 0, n_resamples: int = RESAMPLES
) -> dict[str, float]:
    """Share of bootstrap resamples that choose each layer, the most frequent first."""
    counts: dict[str, int] = {}
    n_items = answers.outcomes.n_items
    for number in range(n_resamples if n_items else 0):
        generator = np.random.default_rng([seed, 4, number])
        drawn = answers.outcomes.take(generator.integers(0, n_items, n_items))
        choice = choose(drawn, generator)
        name = "base" if choice is None else answers.layers[choice]
        counts[name] = counts.get(name, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {name: count / n_resamples for name, count in ordered}


def _verdict(
    answers: LayerAnswers, choice: int | None, fitted: float | None, held: HeldOutGain
) -> tuple[str, bool]:
    """Decide whether a choice is used, and say why."""
    if not answers.layers:
        return "no layer can be silenced: the base stays", False
    if choice is None:
        return "no layer passes the rule: the base stays", False
    name, n_items = answers.layers[choice], answers.outcomes.n_items
    hits = int(answers.outcomes.hits[:, choice].sum())
    if wilson_lower(hits, n_items) <= answers.chance:
        return (
            f"no use: without {name} the accuracy ({hits / n_items:.3f}) is not above chance "
            f"({answers.chance:.3f}): the base stays",
            False,
        )
    if fitted is None:
        gains = held.layer is not None and held.gain > 0
        text = f"too few items to cross-fit; the half held out {'gains' if gains else 'does not'}"
        return (f"{text}: {'silence ' + name if gains else 'the base stays'}", gains)
    if fitted <= 0:
        return (
            f"refused: {name} gains on the items it was chosen on, but choosing so gains "
            f"{100 * fitted:+.1f} points on held-out items: the base stays",
            False,
        )
    return f"silence {name}: choosing so gains {100 * fitted:+.1f} points on held-out items", True
