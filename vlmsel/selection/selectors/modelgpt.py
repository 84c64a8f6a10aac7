"""ModelGPT of LOVM: a regression on what the text tower alone can tell of a task."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from vlmsel.columns import IMAGENET_NAMES
from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.problem_arrays import ProblemArrays
from vlmsel.selection.registry import register
from vlmsel.selection.selector import BaseSelector, Scorer, Scores
from vlmsel.selection.texts.feature_fit import fit_features
from vlmsel.selection.texts.text_evidence import TextEvidence
from vlmsel.selection.texts.text_features import FEATURES, IMAGENET

TEXTS = frozenset({"text"})


@register
class ModelGpt(BaseSelector):
    """Score = - accuracy minus the task's mean, predicted from text features.

    The regression is fitted on the source tasks; ImageNet's accuracy is one of the features where
    it is known of all models. See `vlmsel.selection.texts.text_features`.

    Attributes:
        imagenet: whether ImageNet's accuracy may be used; without it only the texts count.
    """

    name = "modelgpt"
    needs: ClassVar[Needs] = Needs(on_sources=TEXTS, on_target=TEXTS, n_sources=2, class_names=True)

    imagenet: bool = True

    def prepare(self, problem: Problem) -> Scorer:
        """Lay features out; models without features of the target are left out.

        Raises:
            SelectionError: there are no texts of the target, too few of the sources, or one source.
        """
        if len(problem.sources) < 2:
            raise SelectionError(
                f"selector {self.name} learns from at least 2 sources, {problem.target} has 1; use "
                "average-rank"
            )
        arrays = problem.arrays
        tasks = (*problem.sources, problem.target)
        features = known_features(
            require_texts(self.name, problem), arrays, arrays.known_models, tasks
        )
        if not self.imagenet:
            features[..., FEATURES.index(IMAGENET)] = np.nan
        usable, chosen = usable_features(features[:, -1])
        if not chosen.any():
            raise SelectionError(
                f"selector {self.name} needs texts of {problem.target}, which no model has: run "
                "`vlmsel measure text` on tasks with class names"
            )
        models = tuple(key for key, has in zip(arrays.known_models, chosen, strict=True) if has)
        unranked = (
            (key, f"no texts of {problem.target}")
            for key, has in zip(arrays.known_models, chosen, strict=True)
            if not has
        )
        features, accuracy = features[chosen], arrays.accuracy[arrays.known][chosen]

        def score(zoos: np.ndarray) -> Scores:
            fits = [fit_features(features[z][:, :-1], accuracy[z], usable=usable) for z in zoos]
            found = [fit.predict(features[z][:, -1]) for fit, z in zip(fits, zoos, strict=True)]
            return Scores(-np.stack(found))

        return Scorer(models, problem.sources, score, (*arrays.unknown_models, *unranked))


def require_texts(selector: str, problem: Problem) -> TextEvidence:
    """The texts of a problem.

    Raises:
        SelectionError: there are none.
    """
    if problem.texts is None:
        raise SelectionError(
            f"selector {selector} needs texts of {problem.target}: run `vlmsel measure text` on "
            "tasks with class names"
        )
    return problem.texts


def known_features(
    texts: TextEvidence,
    arrays: ProblemArrays,
    models: Sequence[ModelKey],
    tasks: Sequence[str],
) -> np.ndarray:
    """Features of some models, (models, tasks, F), with ImageNet's accuracy where it is known."""
    features = texts.feature_array(models, tasks)
    place = FEATURES.index(IMAGENET)
    name = next((name for name in IMAGENET_NAMES if arrays.is_known(name)), None)
    if name is not None:
        of_imagenet = arrays.accuracy_of(models, [name])
        column = features[..., place]
        features[..., place] = np.where(np.isfinite(column), column, of_imagenet)
    return features


def usable_features(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features that all models with texts know, and these models; both as booleans.

    Args:
        features: (models, F), of the target.
    """
    known = np.isfinite(features)
    of_texts = np.delete(known, FEATURES.index(IMAGENET), axis=1)
    has_texts = np.asarray(of_texts.any(axis=1))
    if not has_texts.any():
        return np.zeros(features.shape[1], dtype=bool), has_texts
    return np.asarray(known[has_texts].all(axis=0)), has_texts
