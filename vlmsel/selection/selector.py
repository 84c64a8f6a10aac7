"""Protocol and base of the selectors: scores of a zoo, and the ranking made of them."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from vlmsel.errors import SelectionError, VlmselError
from vlmsel.selection.knowledge import ModelKey
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.ranking import Ranking, make_ranking


@dataclass(frozen=True)
class Scores:
    """Scores of some zoos.

    Attributes:
        values: (zoos, models), lower is better; NaN where a model cannot be scored.
        weights: (zoos, models, sources), or None for a selector without similarities.
    """

    values: np.ndarray
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class Scorer:
    """A selector made ready for one target, whatever models are in the zoo.

    Attributes:
        models: the models that can be ranked, by name.
        sources: the sources that `Scores.weights` refers to.
        score: takes the row numbers of the models of some zoos, (zoos, models), and gives their
            scores.
        left_out: models that cannot be ranked, each with the reason.
        score_drawn: takes other profiles of the target, (draws, models of the problem, blocks), and
            gives the scores of the whole zoo under each; None for a selector that looks at no
            profiles, or cannot.
    """

    models: tuple[ModelKey, ...]
    sources: tuple[str, ...]
    score: Callable[[np.ndarray], Scores]
    left_out: tuple[tuple[ModelKey, str], ...] = ()
    score_drawn: Callable[[np.ndarray], Scores] | None = None


class Selector(Protocol):
    """A way to rank a zoo; `BaseSelector` does all but `prepare`."""

    name: ClassVar[str]
    needs: ClassVar[Needs]

    @property
    def needs_profiles(self) -> bool:
        """True if it asks for `Problem.profiles`."""
        ...

    @property
    def takes_labels(self) -> bool:
        """True if it uses `Problem.hits`."""
        ...

    @property
    def needs_answers(self) -> bool:
        """True if it asks for `Problem.answers`."""
        ...

    def prepare(self, problem: Problem) -> Scorer:
        """Get ready to score zoos for the problem's target."""
        ...

    def rank(self, problem: Problem) -> Ranking:
        """Rank all models of the problem."""
        ...


class BaseSelector(BaseModel):
    """Base of the selectors; options are fields, checked when it is made.

    Attributes:
        name: what users call it.
        needs: what must be at hand before it can rank.
        reads: what it reads of answers beside their classes, which needs their logits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    needs: ClassVar[Needs] = Needs()
    reads: ClassVar[tuple[str, ...]] = ()

    @property
    def needs_answers(self) -> bool:
        """True if it asks for `Problem.answers`."""
        return "prediction" in self.needs.on_target

    @property
    def needs_texts(self) -> bool:
        """True if it asks for `Problem.texts`."""
        return "text" in self.needs.on_sources | self.needs.on_target

    @property
    def needs_profiles(self) -> bool:
        """True if it asks for `Problem.profiles`."""
        return "profile" in self.needs.on_sources | self.needs.on_target

    @property
    def oracle(self) -> bool:
        """True if it uses the target's true accuracies; no default may."""
        return self.needs.truth

    @property
    def takes_labels(self) -> bool:
        """True if it uses `Problem.hits`; without them it may rank like another."""
        return self.needs.labels != "none"

    @abstractmethod
    def prepare(self, problem: Problem) -> Scorer:
        """Get ready to score zoos for the problem's target.

        Raises:
            SelectionError: the problem lacks what the selector needs.
        """

    def rank(self, problem: Problem) -> Ranking:
        """Rank all models of the problem that can be scored.

        Raises:
            SelectionError: the problem lacks what the selector needs, or no model can be scored.
        """
        if self.needs.n_sources and not problem.sources:
            raise SelectionError(
                f"no source task is known for {problem.target}, and selector {self.name} learns "
                "from sources: import or measure accuracies first"
            )
        scorer, scores = self._score_zoo(problem)
        weights = None if scores.weights is None else scores.weights[0]
        return make_ranking(problem, scorer.models, scores.values[0], weights, scorer.left_out)

    def _score_zoo(self, problem: Problem) -> tuple[Scorer, Scores]:
        """Score the whole zoo once; what a plug-in raises is an error of one line.

        Raises:
            SelectionError: as `prepare`; or a plug-in raises, or gives scores of another shape.
        """
        try:
            scorer = self.prepare(problem)
            scores = scorer.score(np.arange(len(scorer.models))[None])
        except (VlmselError, MemoryError):
            raise
        except Exception as error:
            if type(self).__module__.startswith("vlmsel."):
                raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SelectionError(f"selector {self.name} raised {reason}") from error
        expected = (1, len(scorer.models))
        if np.shape(scores.values) != expected:
            raise SelectionError(
                f"selector {self.name} gave scores of shape {np.shape(scores.values)} for "
                f"{expected[1]} models of one zoo; {expected} is expected"
            )
        return scorer, scores
