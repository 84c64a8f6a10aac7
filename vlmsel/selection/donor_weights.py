"""Selectors whose similarity of tasks is carried from some models to others."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from vlmsel.selection.array_divergences import DcdDivergence
from vlmsel.selection.carried_profiles import mean_total
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem_arrays import ProblemArrays
from vlmsel.selection.rank_weights import PROFILES
from vlmsel.selection.score_arrays import source_weights, spread_divergence
from vlmsel.selection.selector import BaseSelector


class DonorWeighting(BaseSelector):
    """Score = sum_S w_S r_S with the weights of `dcd-pooled`, of profiles that are carried over.

    Every model of a zoo with a profile of the target is a donor; a model without one is ranked by
    the similarity that the donors see.

    Attributes:
        gamma: sharpness of the weights.
        eta: sharpness of the block importance.
    """

    needs: ClassVar[Needs] = PROFILES

    gamma: float = Field(default=2.0, ge=0)
    eta: float = 2.0

    def weigh(self, divergence: np.ndarray) -> np.ndarray:
        """Weights of divergences (..., sources), z-scored over the sources."""
        return source_weights(spread_divergence(divergence), self.gamma)

    def compare(self, pooled: np.ndarray) -> np.ndarray:
        """DCD of the sources to the target, (..., sources).

        Args:
            pooled: (..., 1 + sources, blocks), the target first.
        """
        return self.dcd.between(pooled[..., :1, :], pooled[..., 1:, :])

    @property
    def dcd(self) -> DcdDivergence:
        """The divergence."""
        return DcdDivergence(self.eta)


def donor_shapes(arrays: ProblemArrays) -> tuple[np.ndarray, np.ndarray]:
    """Profiles of a problem's models, the target's first, in units of each model's mean total.

    Returns:
        (models, 1 + sources, blocks), NaN where there is no profile, and throughout for a model
        without one of the target; and the (models,) totals of the sources' profiles.
    """
    assert arrays.grid.shapes is not None
    columns = np.array([arrays.grid.column_of.get(arrays.target, -1), *arrays.columns])
    shapes = arrays.grid.shapes[arrays.rows][:, columns]
    shapes[:, columns < 0] = np.nan
    shapes[~np.isfinite(shapes[:, 0, 0])] = np.nan
    totals = mean_total(shapes[:, 1:])
    return shapes / totals[:, None, None], totals
