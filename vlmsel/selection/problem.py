"""Everything that a selector may know about one target."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from vlmsel.columns import CELL, MODEL
from vlmsel.errors import SelectionError
from vlmsel.selection.block_matches import BlockMatches
from vlmsel.selection.labelled_hits import LabelledHits
from vlmsel.selection.problem_arrays import ProblemArrays
from vlmsel.selection.profiles import task_profiles
from vlmsel.selection.task_grid import TaskGrid, lay_out
from vlmsel.selection.texts.text_evidence import TextEvidence
from vlmsel.selection.zoo_answers import ZooAnswers


@dataclass(frozen=True)
class Problem:
    """Rank the zoo for a target of which only unlabelled images are known.

    Attributes:
        target: the task to rank the zoo for.
        sources: tasks with known accuracies to learn from; never the target. Empty for selectors
            that learn from none.
        accuracies: model, pretrained, task, acc1 (higher is better). Rows of tasks that are no
            source are seen only by selectors that ask for a task by name (`imagenet`); null and NaN
            mean unknown.
        profiles: task profiles (model, pretrained, task, profile) of sources and target; None where
            there are none.
        truth: model, pretrained, accuracy on the target, for `oracle` selectors alone.
        hits: on labelled images of the target, for selectors that take labels; None where none are
            labelled.
        answers: of the zoo on the target's images, labels unseen; None where no model ran on them.
        vectors: interaction vectors (model, pretrained, task, vector) of sources and target, which
            labels of the target went into, for selectors that need them; None where there are none.
        texts: what the models make of the texts of sources and target, and of labelled images of
            the sources, for selectors that need them; None where there are none.
        matches: blocks of the models matched with each other, for selectors that carry profiles
            over; None where there are none.
    """

    target: str
    sources: tuple[str, ...]
    accuracies: pl.DataFrame
    profiles: pl.DataFrame | None = None
    truth: pl.DataFrame | None = None
    hits: LabelledHits | None = None
    answers: ZooAnswers | None = None
    vectors: pl.DataFrame | None = None
    texts: TextEvidence | None = None
    matches: BlockMatches | None = None

    def __post_init__(self) -> None:
        """Refuse a problem that has no answer or gives it away."""
        _require(self.accuracies, (*CELL, "acc1"), "accuracies")
        if self.profiles is not None:
            _require(self.profiles, (*CELL, "profile"), "profiles")
        if self.truth is not None:
            _require(self.truth, (*MODEL, "accuracy"), "truth")
        if len(set(self.sources)) < len(self.sources) or self.target in self.sources:
            raise SelectionError(
                f"the sources of {self.target} must be different tasks other than itself, "
                f"not {', '.join(self.sources)}"
            )
        if self.accuracies["task"].eq(self.target).any():
            raise SelectionError(
                f"the accuracies hold rows of the target {self.target}; leave them out, "
                "a selector must not see them"
            )
        if self.texts is not None and self.texts.has_label_traces(self.target):
            raise SelectionError(
                f"the texts hold what labelled images of the target {self.target} add; hide it, "
                "a selector must not see it"
            )
        repeated = self.accuracies.filter(pl.struct(CELL).is_duplicated())
        if repeated.height:
            model, pretrained, task = repeated.select(CELL).row(0)
            raise SelectionError(
                f"the accuracies hold {model}/{pretrained} on {task} more than once; keep one row"
            )

    @cached_property
    def arrays(self) -> ProblemArrays:
        """The problem as arrays.

        Raises:
            SelectionError: `task_profiles` refuses the profiles.
        """
        profiles = None if self.profiles is None else task_profiles(self.profiles)
        grid = lay_out(self.accuracies, profiles)
        return ProblemArrays(grid, np.arange(len(grid.models)), self.target, self.sources)

    def share(self, grid: TaskGrid, rows: np.ndarray) -> None:
        """Take the arrays from a grid that holds the same numbers, instead of laying them out.

        Args:
            grid: of all tasks, those of this problem among them.
            rows: the problem's models in it.
        """
        # Frozen, so that a changed copy (`replace`) lays its own arrays out.
        self.__dict__["arrays"] = ProblemArrays(grid, rows, self.target, self.sources)

    def with_hits(self, hits: LabelledHits) -> "Problem":
        """The same problem with hits on labelled images, sharing its arrays."""
        return self._sharing(replace(self, hits=hits))

    def with_answers(self, answers: ZooAnswers) -> "Problem":
        """The same problem with the zoo's answers on the target's images, sharing its arrays."""
        return self._sharing(replace(self, answers=answers))

    def with_others(self, **changed: Any) -> "Problem":
        """The same problem with other vectors or texts, sharing its arrays."""
        return self._sharing(replace(self, **changed))

    def _sharing(self, changed: "Problem") -> "Problem":
        changed.__dict__["arrays"] = self.arrays
        return changed


def _require(frame: pl.DataFrame, columns: tuple[str, ...], what: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SelectionError(f"the {what} of a problem lack the columns {', '.join(missing)}")
