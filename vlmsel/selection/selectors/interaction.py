"""Task-Layer Interaction Vectors in place of profiles: what silencing each layer does to a task."""

from typing import ClassVar

import numpy as np
import polars as pl
from pydantic import Field

from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import value_matrix
from vlmsel.selection.layers.likeness import centre, correlate
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.rank_weights import score_by_weights
from vlmsel.selection.registry import register
from vlmsel.selection.score_arrays import pooled_divergence, source_weights, spread_divergence
from vlmsel.selection.selector import BaseSelector, Scorer, Scores


@register
class Interaction(BaseSelector):
    """`dcd-pooled` with 1 - r in place of DCD; r is Pearson's over the layers of centred vectors.

    A vector is made of labelled images of its task, the target's too: this is for comparing
    similarities of tasks, not for images without labels.

    Attributes:
        gamma: sharpness of the weights.
    """

    name = "interaction"
    needs: ClassVar[Needs] = Needs(
        on_sources=frozenset({"knockout"}), on_target=frozenset({"knockout"})
    )

    gamma: float = Field(default=2.0, ge=0)

    def prepare(self, problem: Problem) -> Scorer:
        """Compare the target's vectors with those of the sources; see `Scorer`.

        Raises:
            SelectionError: there are no vectors, or none of the target.
        """
        arrays = problem.arrays
        models, sources = arrays.known_models, problem.sources
        table = _divergence(problem)
        values = spread_divergence(value_matrix(table, "dcd", models, sources, task="source"))

        def score(zoos: np.ndarray) -> Scores:
            # A model without vectors is ranked by the weights of the others.
            weights = source_weights(pooled_divergence(values[zoos]), self.gamma)
            return score_by_weights(weights, arrays.ranks(zoos))

        return Scorer(models, sources, score, arrays.unknown_models)


def _divergence(problem: Problem) -> pl.DataFrame:
    """1 - r of every source to the target, by model; NaN where a vector is constant."""
    vectors = problem.vectors
    if vectors is None:
        raise SelectionError(
            "selector interaction needs interaction vectors: `vlmsel layers vectors --judge` "
            "makes them of measured knockouts and compares it with the others"
        )
    wanted = vectors.filter(pl.col("task").is_in([problem.target, *problem.sources]))
    parts = [
        _to_target(key, rows, problem.target)
        for key, rows in sorted(wanted.group_by(MODEL), key=lambda group: group[0])
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
