"""VEGA as printed: class texts against pseudo classes of images, as two graphs."""

from typing import ClassVar

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators.vega_estimate import edge_score
from vlmsel.selection.knowledge import known_models
from vlmsel.selection.label_free import NO_ANSWER
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.registry import register
from vlmsel.selection.selector import BaseSelector, Scorer, Scores


@register
class Vega(BaseSelector):
    """Score = - (node score + edge score); see `vlmsel.selection.estimators.vega_estimate`.

    As printed a similarity is correlated with a distance, which ranks good models low; the selector
    `vega-mended` turns the sign.
    """

    name = "vega"
    needs: ClassVar[Needs] = Needs(
        on_target=frozenset({"embedding", "text"}), n_sources=0, class_names=True
    )
    is_mended: ClassVar[bool] = False

    def prepare(self, problem: Problem) -> Scorer:
        """Look the graphs up; models without embedded images and texts are left out.

        Raises:
            SelectionError: no model has any of the target.
        """
        graphs = None if problem.texts is None else problem.texts.graphs
        rows = (
            []
            if graphs is None
            else graphs.filter(task=problem.target).sort("model", "pretrained").rows(named=True)
        )
        if not rows:
            raise SelectionError(
                f"selector {self.name} needs image embeddings and class texts of {problem.target}: "
                "run `vlmsel measure embedding text` on tasks with class names"
            )
        models = tuple((row["model"], row["pretrained"]) for row in rows)
        node = np.array([row["node"] for row in rows])
        edges = np.array([row["edges"] for row in rows], dtype=float)
        values = -(node + edge_score(edges, is_mended=self.is_mended))
        missing = set(known_models(problem.accuracies, problem.sources)) - set(models)
        unranked = tuple((key, NO_ANSWER) for key in sorted(missing))
        return Scorer(models, problem.sources, lambda zoos: Scores(values[zoos]), unranked)
