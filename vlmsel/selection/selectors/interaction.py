"""Task-Layer Interaction Vectors in place of profiles: what silencing each layer does to a task."""

from typing import ClassVar

import numpy as np
import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.selection.layers.likeness import centre, correlate
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.profiles import MODEL
from vlmsel.selection.rank_weighting import RankWeighting
from vlmsel.selection.registry import register


@register
class Interaction(RankWeighting):
    """`dcd-pooled` with 1 - r in place of DCD; r is Pearson's over the layers of centred vectors.

    A vector is made of labelled images of its task, the target's too: this is for comparing
    similarities of tasks, not for images without labels.
    """

    name = "interaction"
    needs: ClassVar[Needs] = Needs(
        on_sources=frozenset({"knockout"}), on_target=frozenset({"knockout"})
    )

    def divergence(self, problem: Problem) -> pl.DataFrame:
        """1 - r of every source to the target, by model; null where a vector is constant.

        Raises:
            SelectionError: there are no vectors, or none of the target.
        """
        vectors = problem.vectors
        if vectors is None:
            raise SelectionError(
                "selector interaction needs interaction vectors: `vlmsel layers vectors --judge` "
                "makes them of measured knockouts and compares it with the others"
            )
        tasks = [problem.target, *problem.sources]
        parts = [
            _to_target(key, rows, problem.target)
            for key, rows in sorted(
                vectors.filter(pl.col("task").is_in(tasks)).group_by(MODEL), key=lambda one: one[0]
            )
            if rows["task"].eq(problem.target).any() and rows.height > 1
        ]
        if not parts:
            raise SelectionError(
                f"no model has an interaction vector of {problem.target} and of a source: no layer "
                "changes it beyond noise, or its knockouts are not measured"
            )
        return pl.concat(parts)


def _to_target(key: tuple[object, ...], rows: pl.DataFrame, target: str) -> pl.DataFrame:
    ordered = rows.sort("task")
    similarity = correlate(centre(np.array(ordered["vector"].to_list(), dtype=float)))
    names = ordered["task"].to_list()
    place = names.index(target)
    found = [
        (str(key[0]), str(key[1]), name, target, 1.0 - float(similarity[place, number]))
        for number, name in enumerate(names)
        if number != place
    ]
    columns = dict.fromkeys((*MODEL, "source", "target"), pl.String)
    return pl.DataFrame(found, schema={**columns, "dcd": pl.Float64}, orient="row")
