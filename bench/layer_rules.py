"""What choosing a layer to silence is worth, and what it claims: bootstrap worlds of a store.

The measured labelled items of each model and task are taken for the population, so that the true
gain of every layer is known. N items are drawn with replacement, a rule chooses on them, and the
choice is scored on the population. Simulated from measured answers; the models' own knockouts.

    python bench/layer_rules.py STORE [--draws 5] [--items 10,20,100] [--part block]
"""

import argparse
from collections.abc import Iterator

import numpy as np

from vlmsel.api.layers import read_answers
from vlmsel.api.workspace import open_workspace
from vlmsel.selection.layers.adaptation import cross_fit
from vlmsel.selection.layers.knockout_answers import LayerAnswers
from vlmsel.selection.layers.rules import RULE_OF, RULES, RuleName


def worlds(
    answers: list[LayerAnswers], rule: RuleName, n_items: int, draws: int
) -> Iterator[tuple[float, float, bool, float | None]]:
    """True gain, claimed gain, whether a layer was silenced, cross-fitted gain; in points."""
    for place, one in enumerate(answers):
        truth = one.outcomes.gains()
        for draw in range(draws):
            rng = np.random.default_rng([place, n_items, draw])
            seen = one.outcomes.take(rng.integers(0, one.outcomes.n_items, n_items))
            choice = RULE_OF[rule](seen, rng)
            fitted = cross_fit(seen, RULE_OF[rule], seed=draw)
            if choice is None:
                yield 0.0, 0.0, False, fitted
            else:
                yield 100 * truth[choice], 100 * seen.gains()[choice], True, fitted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--items", default="10,20,100")
    parser.add_argument("--part", default="block")
    asked = parser.parse_args()
    answers = read_answers(open_workspace(asked.store), parts=(asked.part,))
    answers = [one for one in answers if one.layers]
    n_layers = sum(len(one.layers) for one in answers)
    best = np.mean([max(0.0, 100 * one.outcomes.gains().max()) for one in answers])
    print(f"{len(answers)} models on tasks, {n_layers} silenced layers; best possible {best:+.2f}")
    print("rule | items | true gain | claimed | cross-fit | silenced | harmful where silenced")
    for rule in RULES:
        for n_items in map(int, asked.items.split(",")):
            found = list(worlds(answers, rule, n_items, asked.draws))
            true, claimed, used = (np.array([row[i] for row in found]) for i in range(3))
            fitted = [100 * row[3] for row in found if row[3] is not None]
            harm = (true[used == 1] < 0).mean() if used.any() else float("nan")
            crossed = np.mean(fitted) if fitted else float("nan")
            print(
                f"{rule} | {n_items} | {true.mean():+.2f} | {claimed.mean():+.2f} | "
                f"{crossed:+.2f} | {used.mean():.2f} | {harm:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
