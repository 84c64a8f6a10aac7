"""TaLo's published protocol: a small pool, a probe drawn from it, redraws, an evaluation set.

As the authors' repository has it (docs/guide/layers.md says what of it could be read): the choice
is made on the probe alone, ties go to the first layer, and nothing is held out before use.
Redrawing until some layer looks good is optional stopping: its gain on the probe is no estimate.
"""

from dataclasses import dataclass

import numpy as np

from vlmsel.selection.layers.knockout_answers import Outcomes
from vlmsel.selection.layers.rules import published

SHOT = 10
REDRAWS = 5


@dataclass(frozen=True)
class ProtocolRun:
    """One run of the protocol.

    Attributes:
        choice: number of the silenced candidate; None for the base.
        probe_gain: on the probe it was chosen on: optimistic.
        evaluation_gain: on the evaluation set; 0 for the base.
        n_pool: items of the pool.
        n_evaluation: items of the evaluation set.
        n_rounds: probes that were drawn.
    """

    choice: int | None
    probe_gain: float
    evaluation_gain: float
    n_pool: int
    n_evaluation: int
    n_rounds: int


def pool_size(n_items: int, shot: int) -> int:
    """Items of the probe pool: min(n / 3 rounded down, 4 shot)."""
    return min(n_items // 3, 4 * shot)


def run_protocol(
    outcomes: Outcomes, strata: np.ndarray, *, shot: int = SHOT, seed: int = 0
) -> ProtocolRun | None:
    """Run it once; None for a task of fewer items than `shot`, which it skips.

    Args:
        outcomes: of the candidates (published: attention of layers 1 to L - 1).
        strata: (N,) label of every item, for the stratified pool.
        shot: items of a probe.
        seed: of the draws (the authors' are unseeded).
    """
    if outcomes.n_items < shot:
        return None
    generator = np.random.default_rng(seed)
    pool = draw_stratified(strata, pool_size(outcomes.n_items, shot), generator)
    evaluation = np.setdiff1d(np.arange(outcomes.n_items), pool)
    unused = generator.permutation(pool)
    size, n_rounds = min(shot, len(unused)), 0
    choice, gain = None, 0.0
    while 0 < size <= len(unused) and n_rounds <= REDRAWS:
        probe, rest = unused[:size], unused[size:]
        seen = outcomes.take(probe)
        is_perfect = n_rounds == 0 and seen.base.mean() == 1.0 and len(rest) >= shot
        if is_perfect:
            probe, rest = rest[:shot], rest[shot:]
            seen = outcomes.take(probe)
        n_rounds += 1
        choice = published(seen, generator)
        if choice is not None:
            gain = float(seen.gains()[choice])
            break
        unused, size = rest, shot + n_rounds
    held = outcomes.take(evaluation)
    truth = 0.0 if choice is None or not len(evaluation) else float(held.gains()[choice])
    return ProtocolRun(choice, gain, truth, len(pool), len(evaluation), n_rounds)


def draw_stratified(
    strata: np.ndarray, n_wanted: int, generator: np.random.Generator
) -> np.ndarray:
    """Items drawn in proportion to their strata, rounded; the last stratum takes the rest."""
    names = np.unique(strata)
    drawn: list[np.ndarray] = []
    n_left = n_wanted
    for place, name in enumerate(names):
        members = np.flatnonzero(strata == name)
        share = round(n_wanted * len(members) / len(strata))
        number = n_left if place == len(names) - 1 else min(share, n_left)
        number = min(number, len(members))
        drawn.append(generator.choice(members, number, replace=False))
        n_left -= number
    chosen = np.concatenate(drawn) if drawn else np.zeros(0, dtype=int)
    if n_left:
        others = np.setdiff1d(np.arange(len(strata)), chosen)
        chosen = np.concatenate([chosen, generator.choice(others, n_left, replace=False)])
    return np.sort(chosen)
