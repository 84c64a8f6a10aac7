"""Task similarity of profiles resampled on relative depth, for models of any architecture."""

import numpy as np
from pydantic import Field

from vlmsel.selection.carried_profiles import DEPTHS, mean_of_donors, resample_depth
from vlmsel.selection.donor_weights import DonorWeighting, donor_shapes
from vlmsel.selection.problem import Problem
from vlmsel.selection.rank_weights import score_by_weights
from vlmsel.selection.registry import register
from vlmsel.selection.selector import Scorer, Scores


@register
class DcdDepth(DonorWeighting):
    """`dcd-pooled` on the mean profile of the zoo: profiles on relative depth, models alike loud.

    Attributes:
        n_depths: points of the depth.
    """

    name = "dcd-depth"

    n_depths: int = Field(default=DEPTHS, ge=2)

    def prepare(self, problem: Problem) -> Scorer:
        """Resample the profiles once; see `Scorer`.

        Raises:
            SelectionError: there are no profiles, or none of the target.
        """
        arrays = problem.arrays
        arrays.require_profiles(self.name)
        shapes, totals = donor_shapes(arrays)
        n_blocks = arrays.grid.n_blocks[arrays.rows]
        resampled = resample_depth(shapes, n_blocks, self.n_depths)[arrays.known]

        def score(zoos: np.ndarray) -> Scores:
            pooled = mean_of_donors(resampled[zoos])
            return score_by_weights(self.weigh(self.compare(pooled))[:, None], arrays.ranks(zoos))

        def score_drawn(targets: np.ndarray) -> Scores:
            drawn = (targets / totals[:, None])[:, :, None]
            of_target = resample_depth(drawn, n_blocks, self.n_depths)[:, arrays.known]
            of_sources = np.broadcast_to(resampled[:, 1:], (len(targets), *resampled[:, 1:].shape))
            pooled = mean_of_donors(np.concatenate([of_target, of_sources], axis=2))
            ranks = arrays.ranks(np.arange(len(arrays.known))[None])
            return score_by_weights(self.weigh(self.compare(pooled))[:, None], ranks)

        return Scorer(
            arrays.known_models, problem.sources, score, arrays.unknown_models, score_drawn
        )
