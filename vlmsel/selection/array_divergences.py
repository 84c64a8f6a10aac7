"""Divergences between profiles laid out as arrays: one target, or many, against all tasks at once.

`dcd_table.dcd_matrix` gives the same numbers as a table. Here they are what selectors work on: a
leave-one-out asks for the same pairs once a selector and target, a bootstrap for thousands of
targets.
"""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from vlmsel.selection.dcd_table import EpsMode


@dataclass(frozen=True)
class Divergence:
    """Distance between profiles of one model; equal settings give equal divergences."""

    def towards(self, targets: np.ndarray, sources: np.ndarray, n_blocks: np.ndarray) -> np.ndarray:
        """Compare every source with every target, model by model.

        Args:
            targets: (models, blocks), or (targets, models, blocks); zeros behind the blocks that
                a model has, NaN throughout where there is no profile.
            sources: (models, tasks, blocks), likewise.
            n_blocks: (models,), blocks of each model; 0 where there is no profile of it.

        Returns:
            (models, tasks) or (targets, models, tasks), NaN where either profile is unknown.
        """
        leading = targets.shape[:-2]
        found = np.full((*leading, *sources.shape[:2]), np.nan)
        for model, width in enumerate(n_blocks):
            if not width:
                continue  # No profile of it at all.
            t = targets[..., model, None, :width]
            found[..., model, :] = self.between(t, sources[model, :, :width])
        return found

    @abstractmethod
    def between(self, t: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Compare sources s with targets t, both (..., blocks); leading axes are broadcast."""


@dataclass(frozen=True)
class DcdDivergence(Divergence):
    """Directional Conductance Divergence, see `dcd_table.dcd_matrix`.

    DCD(S -> T) = sum_l alpha_l |t_l - s_l| / (|t_l| + eps), alpha = softmax(eta t / max(||t||,
    eps)).

    Attributes:
        eta: sharpness of the block importance.
        eps: floor of the denominators.
        eps_mode: `absolute`, or `relative` to the target's profile.
    """

    eta: float = 2.0
    eps: float = 1e-8
    eps_mode: EpsMode = "absolute"

    def between(self, t: np.ndarray, s: np.ndarray) -> np.ndarray:
        """See `Divergence.between`."""
        size = np.abs(t)
        floor = self.eps
        if self.eps_mode == "relative":
            floor = self.eps * size.mean(axis=-1, keepdims=True)
        norm = np.maximum(np.sqrt((t * t).sum(axis=-1, keepdims=True)), floor)
        hat = t * (self.eta / norm)
        raised = np.exp(hat - hat.max(axis=-1, keepdims=True))
        weight = raised / raised.sum(axis=-1, keepdims=True) / (size + floor)
        return np.einsum("...b,...b->...", np.abs(t - s), weight)
