"""Inputs of the scores of one model, computed once and shared."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vlmsel.errors import SelectionError
from vlmsel.selection.scores.probe import LinearProbe, ProbeAnswers, probe_answers
from vlmsel.selection.scores.support.decomposition import Decomposition, decompose
from vlmsel.selection.scores.support.label_groups import LabelGroups
from vlmsel.selection.scores.zero_shot import ZeroShot, zero_shot
from vlmsel.selection.transfer.gates import Sizes
from vlmsel.selection.transfer.labelled_task import LabelledTask


@dataclass(frozen=True)
class ModelInputs:
    """One model on one task.

    Attributes:
        features: (n, d) float64, rows of length 1 unless asked otherwise.
        task: the labelled images.
        labels: (n,) classes to score, dense; the task's own, or shuffled.
        head: (n, source classes) probabilities of a source head, if any.
        zero_shot_head: (n, classes of the task) zero-shot probabilities, if any.
        seed: of what is drawn.
        decomposition: of the features.
    """

    features: np.ndarray
    task: LabelledTask
    labels: np.ndarray
    head: np.ndarray | None
    zero_shot_head: np.ndarray | None
    seed: int
    decomposition: Decomposition

    @property
    def groups(self) -> LabelGroups:
        """The classes, whose sizes shuffling keeps."""
        return self.task.groups

    @property
    def sizes(self) -> Sizes:
        """Sizes that gates look at."""
        n, d = self.features.shape
        return Sizes(n, d, self.groups.n_classes, self.groups.smallest)

    @cached_property
    def probe_answers(self) -> ProbeAnswers:
        """Held-out answers of the linear probe."""
        return probe_answers(
            self.features, self.labels, standardise=True, seed=self.seed, images=self.task.copies
        )

    @property
    def probe(self) -> LinearProbe:
        """The linear probe, which stands beside every score."""
        return self.probe_answers.summary

    @cached_property
    def zero_shot(self) -> ZeroShot:
        """The zero-shot classifier on the labelled images.

        Raises:
            SelectionError: there are no zero-shot probabilities.
        """
        if self.zero_shot_head is None:
            raise SelectionError("there are no zero-shot probabilities of this model")
        return zero_shot(self.zero_shot_head, self.task.columns)

    def shuffle_labels(self) -> "ModelInputs":
        """Return the same model with its labels dealt out anew: what chance would score."""
        labels = np.random.default_rng(self.seed).permutation(self.labels)
        return ModelInputs(
            self.features,
            self.task,
            labels,
            self.head,
            self.zero_shot_head,
            self.seed,
            self.decomposition,
        )


def model_inputs(
    features: np.ndarray,
    task: LabelledTask,
    *,
    head: np.ndarray | None = None,
    zero_shot_head: np.ndarray | None = None,
    normalise: bool = True,
    seed: int = 0,
) -> ModelInputs:
    """Take the rows of a task, scale them to length 1 and decompose them.

    Raises:
        SelectionError: the features are not finite, or all images have the same.
    """
    rows = features[task.rows]
    if normalise:
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(length > 0, length, 1.0)
    parts = decompose(rows)
    if parts.rank == 0:
        raise SelectionError("all images have the same features: nothing tells classes apart")
    return ModelInputs(
        rows,
        task,
        task.groups.codes,
        None if head is None else head[task.rows],
        None if zero_shot_head is None else zero_shot_head[task.rows],
        seed,
        parts,
    )
