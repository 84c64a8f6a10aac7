"""Is a target like anything that is known? Its nearest source against the sources' own nearest.

A similarity always sums to 1 over the sources, also for images unlike all of them: noise, another
kind of picture, an empty folder of black frames. What shows is the distance itself.
"""

from dataclasses import dataclass

import polars as pl

from vlmsel.selection.divergence import dcd_matrix


@dataclass(frozen=True)
class Novelty:
    """How far the nearest source is.

    Attributes:
        nearest: the source with the smallest mean DCD over models.
        dcd: that DCD.
        usual: the largest DCD that any source has to its own nearest source.
    """

    nearest: str
    dcd: float
    usual: float

    @property
    def notice(self) -> str | None:
        """The sentence to show when no source is as near as sources are to each other."""
        if self.dcd <= self.usual:
            return None
        return (
            f"The images are unlike every source: the nearest, {self.nearest}, is at a divergence "
            f"of {self.dcd:.2f}, and no source is further than {self.usual:.2f} from its own "
            "nearest. The ranking and its intervals rest on tasks like the sources: do not trust "
            "them here."
        )


def novelty(profiles: pl.DataFrame, target: str) -> Novelty | None:
    """Compare a target's nearest source with the sources' own nearest ones.

    Args:
        profiles: long profiles or `task_profiles` of the target and at least two sources.
        target: the task to judge.

    Returns:
        None where there are fewer than two sources.
    """
    mean = (
        dcd_matrix(profiles).group_by("source", "target").agg(pl.col("dcd").mean()).sort("source")
    )
    known = mean.filter(pl.col("source") != target)
    own = known.filter(target=target).sort("dcd")
    others = known.filter(pl.col("target") != target)
    if own.is_empty() or others.is_empty():
        return None
    usual = others.group_by("target").agg(pl.col("dcd").min())["dcd"].to_numpy().max()
    return Novelty(own["source"][0], float(own["dcd"][0]), float(usual))
