"""Notes of an answer: what must be known to trust it, one line each. Pure."""

from vlmsel.api.answer_options import AnswerOptions
from vlmsel.api.answer_target import TargetLabels
from vlmsel.plurals import number_of
from vlmsel.selection.answer import Answer
from vlmsel.selection.label_draw import LabelDraw
from vlmsel.selection.zoo_answers import ZooAnswers


def describe_labels(target: TargetLabels, asked: AnswerOptions) -> list[str]:
    """Say what class folders gave: names of the classes, and labels."""
    notes = []
    if target.from_folders:
        n = len(target.classnames)
        what = "labels count as a random sample (--ignore-labels takes none)"
        if asked.ignore_labels:
            what = "labels are ignored"
        elif not target.is_sorted:
            what = f"labels give way to those of {asked.labels}"
        notes.append(f"class folders: their names are the {n} classes, their {what}")
    return notes


def describe_draw(draw: LabelDraw, target: TargetLabels, answers: ZooAnswers | None) -> list[str]:
    """Say which labels do not count, and why."""
    notes = []
    beyond = len(set(target.labels) - set(target.order))
    if beyond and not target.is_sorted:
        images = f"of images beyond the {len(target.order)} looked at"
        notes.append(f"{number_of(beyond, 'label is', 'labels are')} {images}")
    if draw.unused:
        unused = number_of(len(draw.unused), "label is", "labels are")
        notes.append(
            f"{unused} not used: labels must be of the "
            f"next images in the order, without a gap (the first gap is {draw.wanted[0]}); say "
            "--labels-are-random if the images were drawn at random"
        )
    if target.labels and answers is None:
        notes.append("no model was run on the images, so labels say nothing yet")
    return notes


def describe_answer(
    found: Answer, target: TargetLabels, draw: LabelDraw, n_eligible: int
) -> list[str]:
    """Say what labels and sources leave open, and which models have no place.

    Args:
        found: the decision.
        target: classes and labels.
        draw: the labels that count.
        n_eligible: models within the limits.
    """
    notes = []
    if found.n_outside:
        images = number_of(found.n_outside, "labelled image is", "labelled images are")
        notes.append(f"{images} in none of the classes and dropped")
    classes = {target.labels[image] for image in draw.used if target.labels[image] >= 0}
    if len(draw.used) > 1 and len(classes) == 1:
        name = target.classnames[classes.pop()]
        notes.append(
            f"all {len(draw.used)} labels are of one class, '{name}': they tell how often models "
            "say that class, and little of the others"
        )
    if found.n_labels == 1:
        notes.append("one label says next to nothing; the first check is at 5")
    if found.basis == "hits":
        what = "labels" if found.n_labels else "evaluated models"
        notes.append(f"fewer than 2 source tasks: the {what} alone rank")
    left_out = n_eligible - len(found.among)
    if left_out:
        lack = {
            "posterior": "no accuracy, label or evaluation says anything of them",
            "hits": "they have no hits on labelled images and are not evaluated",
            "estimate": "they were not run on the images, or gave no answer",
            "average-rank": "no source task knows their accuracy",
        }[found.basis]
        models = number_of(left_out, "model has", "models have")
        notes.append(f"{models} no place in the ranking: {lack}")
    return notes
