"""Rules for the layer to silence, from answers on labelled items; the base where none helps.

A rule takes outcomes and a generator, and gives the number of a candidate, or None for the base.
Equal gains go to the lowest number.
"""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from vlmsel.selection.layers.changes import mid_p
from vlmsel.selection.layers.knockout_answers import Outcomes

RuleName = Literal["published", "confirm", "significant", "evidence"]
RULES: tuple[RuleName, ...] = get_args(RuleName)
Rule = Callable[[Outcomes, np.random.Generator], int | None]

LEVEL = 0.05
EVIDENCE_LEVEL = 0.10
CLIP = 5.0
# From so many items on halves are large enough to confirm on.
CONFIRM_FROM = 100
TIE = 1e-6


def default_rule(n_items: int) -> RuleName:
    """`evidence` below 100 items, `confirm` from there on."""
    return "evidence" if n_items < CONFIRM_FROM else "confirm"


def published(outcomes: Outcomes, _generator: np.random.Generator) -> int | None:
    """The largest gain in accuracy if it is above zero, on the very items it was chosen on."""
    return _find_largest(outcomes.gains(), np.ones(outcomes.n_candidates, dtype=bool))


def confirm(outcomes: Outcomes, generator: np.random.Generator) -> int | None:
    """Choose on a random half; keep the choice only if the other half gains, too."""
    first, second = halves(outcomes.groups, generator)
    if not len(first) or not len(second):
        return None
    choice = published(outcomes.take(first), generator)
    if choice is None or outcomes.take(second).gains()[choice] <= 0:
        return None
    return choice


def significant(outcomes: Outcomes, _generator: np.random.Generator) -> int | None:
    """The largest gain among those whose mid-p times the number of candidates is below .05."""
    pairs = zip(*outcomes.changes(), strict=True)
    level = LEVEL / max(1, outcomes.n_candidates)
    is_allowed = np.array([mid_p(int(up), int(down)) < level for up, down in pairs], dtype=bool)
    return _find_largest(outcomes.gains(), is_allowed)


def evidence(outcomes: Outcomes, _generator: np.random.Generator) -> int | None:
    """The largest gain among those whose log-probability of the truth rises for certain.

    The mean paired change, each change clipped to +-5, over its standard error lies above the
    1 - .10 / candidates quantile of Student's t with n - 1 degrees of freedom.
    """
    n_items = outcomes.n_items
    if n_items < 2 or not outcomes.n_candidates:
        return None
    # Imported here: it takes a second, and few commands need it.
    from scipy.stats import t as student

    change = np.clip(outcomes.log - outcomes.base_log[:, None], -CLIP, CLIP)
    error = change.std(axis=0, ddof=1) / np.sqrt(n_items)
    mean = change.mean(axis=0)
    bound = student.ppf(1.0 - EVIDENCE_LEVEL / outcomes.n_candidates, n_items - 1)
    return _find_largest(outcomes.gains(), (mean > 0) & (mean > bound * error))


def halves(groups: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Items of a random half of the groups, and of the other: copies stay together."""
    first, second = folds(groups, 2, generator)
    return first, second


def folds(groups: np.ndarray, n_folds: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Item numbers of random folds of about equal size; copies of an image are in one fold."""
    names, place = np.unique(groups, return_inverse=True)
    fold_of = np.empty(len(names), dtype=int)
    fold_of[generator.permutation(len(names))] = np.arange(len(names)) % n_folds
    return [np.flatnonzero(fold_of[place] == fold) for fold in range(n_folds)]


def tied_best(gains: np.ndarray) -> tuple[int, ...]:
    """Every candidate whose gain is the largest, if it is above zero."""
    if not len(gains) or gains.max() <= TIE:
        return ()
    return tuple(int(number) for number in np.flatnonzero(gains >= gains.max() - TIE))


def _find_largest(gains: np.ndarray, is_allowed: np.ndarray) -> int | None:
    """The first of the largest gains above zero among the allowed candidates."""
    best = tied_best(np.where(is_allowed, gains, -np.inf))
    return best[0] if best else None


RULE_OF: dict[RuleName, Rule] = {
    "published": published,
    "confirm": confirm,
    "significant": significant,
    "evidence": evidence,
}
