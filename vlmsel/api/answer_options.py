"""Question for an answer: facts about the images, and limits on the models."""

from dataclasses import dataclass
from pathlib import Path

from vlmsel.errors import SettingsError
from vlmsel.selection.posterior.advice import TOLERANCE
from vlmsel.tasks.questions import AnswerStyle


@dataclass(frozen=True)
class AnswerOptions:
    """Facts about the images, and what is asked.

    Attributes:
        classnames: of the images; None takes those of `prompts`, or of class folders.
        prompts: `clip-benchmark:NAME`.
        templates: prompts with {} for the class name; those of the task or a photo of it if None.
        labels: CSV file with the columns image and label.
        questions: file of multiple-choice questions about the images, in place of class names; the
            images are then a folder, or that file, which holds them.
        answers: of questions, whether letters or the options' words are scored.
        evaluated: CSV file with model, pretrained and acc1 on the whole target.
        shortlist: how many models to run, the best by average rank; all of a store's zoo if None.
        tolerance: expected regret at which to stop, a share of 1.
        ignore_labels: take no labels, also of class folders.
        labels_are_random: labels of any images are a random draw.
        max_params: largest number of parameters, in millions.
        max_ms: longest time per image of the visual encoder, in milliseconds, where measured.
        selector: ranks where there are no labels.
        dry_run: run no model and ask no hub.
        picked_by: order that picked the labelled images, where that is no random draw: all labels
            are used, and the answer says so.
    """

    classnames: tuple[str, ...] | None = None
    prompts: str | None = None
    templates: tuple[str, ...] | None = None
    labels: Path | None = None
    questions: str | None = None
    answers: AnswerStyle = "letters"
    evaluated: Path | None = None
    shortlist: int | None = None
    tolerance: float = TOLERANCE
    ignore_labels: bool = False
    labels_are_random: bool = False
    max_params: float | None = None
    max_ms: float | None = None
    selector: str | None = None
    dry_run: bool = False
    picked_by: str | None = None

    @property
    def limits(self) -> dict[str, float | None]:
        """Limits on what a model may cost."""
        return {"max_params": self.max_params, "max_ms": self.max_ms}

    def __post_init__(self) -> None:
        """Refuse labels that would be dropped.

        Raises:
            SettingsError: labels are given, and are to be ignored.
        """
        if self.ignore_labels and (self.labels is not None or self.labels_are_random):
            raise SettingsError(
                "ignore_labels takes no labels: leave labels and labels_are_random out"
            )
