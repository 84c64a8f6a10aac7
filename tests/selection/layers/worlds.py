"""Made-up outcomes whose truth is known."""

import numpy as np

from vlmsel.selection.layers.knockout_answers import LayerAnswers, Outcomes


def outcomes_of(base, hits, base_log=None, log=None, groups=None) -> Outcomes:
    base, hits = np.asarray(base, float), np.asarray(hits, float)
    if hits.ndim == 1:
        hits = hits[:, None]
    return Outcomes(
        base,
        hits,
        np.log(np.where(base == 1, 0.6, 0.2)) if base_log is None else np.asarray(base_log),
        np.log(np.where(hits == 1, 0.6, 0.2)) if log is None else np.asarray(log),
        np.arange(len(base)) if groups is None else np.asarray(groups),
    )


def answers_of(outcomes: Outcomes, n_classes: int = 2) -> LayerAnswers:
    names = tuple(f"vision.{number}" for number in range(outcomes.n_candidates))
    return LayerAnswers(("m", "p", "t"), names, outcomes, {}, n_classes, 0.5)


def flipped(rng, n_items, n_layers, up=0.0, down=0.0, change=0.1) -> Outcomes:
    """Every layer flips a tenth of the items; the first also gains `up` of the wrong ones."""
    base = (rng.random(n_items) < 0.5).astype(float)
    flips = rng.random((n_items, n_layers)) < change
    hits = np.where(flips, 1 - base[:, None], base[:, None])
    helped = (base == 0) & (rng.random(n_items) < up)
    hurt = (base == 1) & (rng.random(n_items) < down)
    hits[helped, 0], hits[hurt, 0] = 1, 0
    return outcomes_of(base, hits)


class Changes(Outcomes):
    """Items that each layer gains (1), loses (-1) or leaves (0), whatever the base answers."""

    def take(self, items):
        return Changes(
            self.base[items], self.hits[items], self.base_log[items], self.log[items],
            self.groups[items],
        )  # fmt: skip

    def changes(self):
        return (self.hits == 1).sum(axis=0), (self.hits == -1).sum(axis=0)


def null_world(rng, n_items, n_layers) -> Outcomes:
    """A tenth of the items change under every layer, half each way: nothing is to be had."""
    kinds = rng.choice([1.0, -1.0, 0.0], (n_items, n_layers), p=[0.05, 0.05, 0.9])
    none = np.zeros(n_items)
    return Changes(none, kinds, none, np.zeros_like(kinds), np.arange(n_items))
