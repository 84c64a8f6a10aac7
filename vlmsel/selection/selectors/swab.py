"""SWAB: ModelGPT with captions moved towards images, joined with class ranks of the sources."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from vlmsel.errors import SelectionError
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.registry import register
from vlmsel.selection.score_arrays import zoo_ranks
from vlmsel.selection.selector import BaseSelector, Scorer, Scores
from vlmsel.selection.selectors.modelgpt import (
    TEXTS,
    known_features,
    require_texts,
    usable_features,
)
from vlmsel.selection.texts.class_bridge import (
    MASS,
    THRESHOLD,
    Bridge,
    SourceClasses,
    correct_view,
    lay_out_classes,
    make_bridge,
)
from vlmsel.selection.texts.feature_fit import fit_features
from vlmsel.selection.texts.text_evidence import TextEvidence, task_seed
from vlmsel.selection.texts.text_features import FEATURES, TEXT_FEATURES, text_features
from vlmsel.selection.texts.text_view import TextView

# Deviation of the noise on corrected captions, as published.
SIGMA = 0.15


@register
class Swab(BaseSelector):
    """Score = share * rank by ModelGPT on corrected captions + (1 - share) * moved class rank.

    Gaps between images and texts, and ranks of the models on each class, are moved from the classes
    of the sources to those of the target by partial optimal transport. The features of a source are
    made in the same way from the other sources, so that the regression is fitted on what it will
    see. Class names are compared by the models' own text towers.

    Attributes:
        share: of the rank by ModelGPT.
        sigma: deviation of the noise on captions.
        mass: share of the mass that is transported.
        threshold: cosine above which a source class is like one of the target.
    """

    name = "swab"
    needs: ClassVar[Needs] = Needs(
        on_sources=TEXTS | {"embedding", "prediction"},
        on_target=TEXTS,
        n_sources=2,
        class_names=True,
    )

    share: float = Field(default=0.5, ge=0, le=1)
    sigma: float = Field(default=SIGMA, ge=0)
    mass: float = Field(default=MASS, gt=0, le=1)
    threshold: float = Field(default=THRESHOLD, ge=-1, lt=1)

    def prepare(self, problem: Problem) -> Scorer:
        """Move gaps and ranks to the target and, for the regression, to every source.

        Raises:
            SelectionError: there are no texts of the target, fewer than two sources with texts and
                labelled images, or no source class is like one of the target.
        """
        arrays = problem.arrays
        texts = require_texts(self.name, problem)
        texts.require_views(self.name, [problem.target])
        sources = [task for task in problem.sources if _has_images(texts, task)]
        if len(sources) < 2:
            raise SelectionError(
                f"selector {self.name} needs 2 source tasks with texts, image embeddings and "
                f"labels, {problem.target} has {len(sources)}: run `vlmsel measure text embedding "
                "prediction`"
            )
        # All models with texts say how alike classes are, whatever zoo is ranked.
        with_texts = [
            key
            for key in sorted(texts.views[problem.target])
            if _has_all(texts, key, sources, problem.target)
        ]
        models = tuple(key for key in arrays.known_models if key in with_texts)
        if not models:
            raise SelectionError(f"no model has texts of {problem.target} and of all its sources")
        tasks = (*sources, problem.target)
        views = {task: [texts.views[task][key] for key in with_texts] for task in tasks}
        classes = lay_out_classes(texts.views, with_texts, sources)
        rows = [with_texts.index(key) for key in models]
        features = known_features(texts, arrays, models, tasks)
        places = [FEATURES.index(name) for name in TEXT_FEATURES]
        for column, task in enumerate(tasks):
            features[:, column, places] = self._correct(classes, task, views[task])[rows]
        usable, _ = usable_features(features[:, -1])
        accuracy = arrays.accuracy_of(models, sources)
        bridge = self._bridge(classes, problem.target, views[problem.target])
        on_classes = classes.accuracy[rows]

        def score(zoos: np.ndarray) -> Scores:
            found = []
            for zoo in zoos:
                fit = fit_features(features[zoo][:, :-1], accuracy[zoo], usable=usable)
                by_texts = zoo_ranks(fit.predict(features[zoo][:, -1])[:, None])[:, 0]
                # Classes without a labelled image have no share.
                ranks = np.nan_to_num(zoo_ranks(on_classes[zoo]))
                moved = (ranks @ bridge.shares).mean(axis=1)
                found.append(self.share * by_texts + (1 - self.share) * moved)
            return Scores(np.stack(found))

        unranked = [
            (key, "no texts of all tasks") for key in arrays.known_models if key not in with_texts
        ]
        return Scorer(models, problem.sources, score, (*arrays.unknown_models, *unranked))

    def _bridge(self, classes: SourceClasses, task: str, views: Sequence[TextView]) -> Bridge:
        similarity = classes.similarity(task, views)
        return make_bridge(similarity, mass=self.mass, threshold=self.threshold)

    def _correct(self, classes: SourceClasses, task: str, views: Sequence[TextView]) -> np.ndarray:
        """Text features of each model on a task, captions moved by the gaps of the other tasks."""
        bridge = self._bridge(classes, task, views)
        moved = [
            correct_view(view, bridge.move(gaps))
            for view, gaps in zip(views, classes.gaps, strict=True)
        ]
        seed = task_seed(task)
        return np.stack([text_features(view, sigma=self.sigma, seed=seed) for view in moved])


def _has_images(texts: TextEvidence, task: str) -> bool:
    """True if labelled images of a task add gaps and accuracies to its texts."""
    views = texts.views.get(task, {}).values()
    return any(view.gaps is not None and view.accuracy is not None for view in views)


def _has_all(texts: TextEvidence, key: ModelKey, sources: Sequence[str], target: str) -> bool:
    """True if a model has texts of the target, and texts and labelled images of the sources."""
    views = [texts.views[task].get(key) for task in sources]
    return key in texts.views[target] and all(
        view is not None and view.gaps is not None and view.accuracy is not None for view in views
    )
