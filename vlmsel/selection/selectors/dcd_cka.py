"""Task similarity of profiles whose blocks are matched by linear CKA."""

from typing import ClassVar

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.block_matches import BlockMatches
from vlmsel.selection.carried_profiles import mean_of_donors
from vlmsel.selection.donor_weights import DonorWeighting, donor_shapes
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.problem_arrays import ProblemArrays
from vlmsel.selection.rank_weights import score_by_weights
from vlmsel.selection.registry import register
from vlmsel.selection.selector import Scorer, Scores


@register
class DcdCka(DonorWeighting):
    """`dcd` of each model on the mean profile of the zoo, carried into its own blocks.

    Block j of a model takes what the donor scored its block most like j (linear CKA of their
    outputs on shared images); weights are those of `dcd-scaled`, one vector per model.
    """

    name = "dcd-cka"
    needs: ClassVar[Needs] = Needs(
        on_sources=frozenset({"profile", "block-match"}), on_target=frozenset({"profile"})
    )

    def prepare(self, problem: Problem) -> Scorer:
        """Carry every donor's profiles into every model's blocks; see `Scorer`.

        Raises:
            SelectionError: there are no profiles, none of the target, or no matched blocks.
        """
        arrays, matches = problem.arrays, problem.matches
        if matches is None:
            raise SelectionError(
                "selector dcd-cka needs blocks matched by their embeddings: `vlmsel study "
                "objectives` measures them and compares it with the others"
            )
        arrays.require_profiles(self.name)
        keys = arrays.known_models
        is_matched = np.array([matches.n_blocks(key) is not None for key in keys], dtype=bool)
        matched = np.flatnonzero(is_matched)
        shapes, _ = donor_shapes(arrays)
        models = [keys[i] for i in matched]
        carried = [_carry(arrays, shapes, matches, models, model) for model in models]
        left_out = [(keys[i], "no embeddings of its blocks") for i in np.flatnonzero(~is_matched)]

        def score(zoos: np.ndarray) -> Scores:
            weights = [
                [self.weigh(self.compare(mean_of_donors(carried[i][zoo]))) for i in zoo]
                for zoo in zoos
            ]
            return score_by_weights(np.array(weights), arrays.ranks(matched[zoos]))

        return Scorer(tuple(models), problem.sources, score, (*left_out, *arrays.unknown_models))


def _carry(
    arrays: ProblemArrays,
    shapes: np.ndarray,
    matches: BlockMatches,
    donors: list[ModelKey],
    recipient: ModelKey,
) -> np.ndarray:
    """Profiles of the donors in the blocks of one model, (donors, 1 + sources, blocks)."""
    found = []
    for donor in donors:
        place = arrays.place_of[donor]
        n_blocks = arrays.grid.n_blocks[arrays.rows[place]]
        nearest = matches.nearest[donor, recipient]
        if n_blocks not in (0, matches.n_blocks(donor)):
            raise SelectionError(
                f"{'/'.join(donor)} has profiles of {n_blocks} blocks and embeddings of "
                f"{matches.n_blocks(donor)}: measure both with the same blocks"
            )
        nothing = np.full((shapes.shape[1], len(nearest)), np.nan)
        found.append(shapes[place][:, nearest] if n_blocks else nothing)
    return np.stack(found)
