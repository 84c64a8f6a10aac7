"""What a selector may know about one target."""

from dataclasses import dataclass

import polars as pl

from vlmsel.errors import SelectionError
from vlmsel.selection.labelled_hits import LabelledHits
from vlmsel.selection.profiles import CELL, MODEL
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
    """

    target: str
    sources: tuple[str, ...]
    accuracies: pl.DataFrame
    profiles: pl.DataFrame | None = None
    truth: pl.DataFrame | None = None
    hits: LabelledHits | None = None
    answers: ZooAnswers | None = None

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
        repeated = self.accuracies.filter(pl.struct(CELL).is_duplicated())
        if repeated.height:
            model, pretrained, task = repeated.select(CELL).row(0)
            raise SelectionError(
                f"the accuracies hold {model}/{pretrained} on {task} more than once; keep one row"
            )


def _require(frame: pl.DataFrame, columns: tuple[str, ...], what: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SelectionError(f"the {what} of a problem lack the columns {', '.join(missing)}")
