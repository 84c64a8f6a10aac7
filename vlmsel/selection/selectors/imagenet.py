"""INB of LOVM: accuracy on one well-known task ranks the zoo for all tasks."""

from typing import ClassVar

import numpy as np

from vlmsel.columns import IMAGENET_NAMES
from vlmsel.errors import SelectionError
from vlmsel.selection.needs import Needs
from vlmsel.selection.problem import Problem
from vlmsel.selection.registry import register
from vlmsel.selection.selector import BaseSelector, Scorer, Scores


@register
class ImageNet(BaseSelector):
    """Score = 1 - accuracy on ImageNet.

    Attributes:
        task: ImageNet's name in the accuracies; the first known of imagenet and imagenet1k when
            None.
    """

    name = "imagenet"
    needs: ClassVar[Needs] = Needs(on_tasks=IMAGENET_NAMES)

    task: str | None = None

    def prepare(self, problem: Problem) -> Scorer:
        """Look the task up, which need not be among the problem's sources.

        Raises:
            SelectionError: the task has no accuracies.
        """
        wanted = IMAGENET_NAMES if self.task is None else (self.task,)
        arrays = problem.arrays
        task = next((name for name in wanted if arrays.is_known(name)), None)
        if task is None:
            raise SelectionError(
                f"selector imagenet found no accuracies of {' or '.join(wanted)} for target "
                f"{problem.target}; import them or name the task by the option `task`"
            )
        on_task = arrays.accuracy_on([task])[:, 0]
        known = np.flatnonzero(np.isfinite(on_task))
        models, accuracy = tuple(arrays.models[i] for i in known), on_task[known]
        others = set(arrays.known_models) - set(models)
        left_out = tuple((key, f"no accuracy on {task}") for key in sorted(others))
        return Scorer(models, problem.sources, lambda zoos: Scores(1 - accuracy[zoos]), left_out)
