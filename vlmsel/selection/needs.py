"""Declarations of what a selector needs, and what of it is missing. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vlmsel.plurals import number_of

Labels = Literal["none", "few", "all"]
_ORDER: tuple[Labels, ...] = ("none", "few", "all")


@dataclass(frozen=True)
class Needs:
    """Requirements of a selector before it can rank a zoo for new images.

    Attributes:
        on_sources: kinds of measurement of the zoo on the source tasks.
        on_target: kinds of measurement of the zoo on the images to rank for.
        n_sources: fewest source tasks with accuracies; 0 for a selector that learns from none.
        on_tasks: tasks of which the accuracy of two models must be known, any one of them.
        class_names: whether the names of the target's classes are needed.
        labels: labels of the target: none, those of a few images drawn at random, or of all.
        truth: whether the target's true accuracies are needed, which only an evaluation has.
    """

    on_sources: frozenset[str] = frozenset()
    on_target: frozenset[str] = frozenset()
    n_sources: int = 1
    on_tasks: tuple[str, ...] = ()
    class_names: bool = False
    labels: Labels = "none"
    truth: bool = False

    @property
    def looks_at_images(self) -> bool:
        """True if a model must be run on the images to rank for."""
        return bool(self.on_target)


@dataclass(frozen=True)
class Supply:
    """Everything at hand for ranking: of the sources, and of the target.

    Attributes:
        on_sources: kinds that are measured on sources with accuracies.
        on_target: kinds that are measured, or can be measured, on the target.
        n_models: models with an accuracy, by source task; reference tasks (ImageNet) among them.
        n_sources: source tasks with accuracies, references not counted.
        class_names: whether the target's classes are named.
        labels: which labels of the target there are.
        truth: whether the target's true accuracies are known.
    """

    on_sources: frozenset[str] = frozenset()
    on_target: frozenset[str] = frozenset()
    n_models: Mapping[str, int] = field(default_factory=dict)
    n_sources: int = 0
    class_names: bool = False
    labels: Labels = "none"
    truth: bool = False


@dataclass(frozen=True)
class Lack:
    """One missing thing, and the command that gives it.

    Attributes:
        reason: what is missing, for people.
        command: what to do about it; empty where nothing can be done.
    """

    reason: str
    command: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.command}" if self.command else self.reason


# Words for the kinds in messages; other kinds are called by their own name.
_PLURALS = {
    "profile": "profiles",
    "prediction": "predictions",
    "embedding": "embeddings",
    "knockout": "interaction vectors",
    "text": "texts",
    "block-match": "blocks matched by their embeddings",
}
# Commands that give what a run of the kind alone does not.
_CATALOGS = "--zoo ... --tasks ... --store ..."
_COMMANDS = {
    "knockout": "`vlmsel layers vectors --judge` makes them of measured knockouts",
    "block-match": "`vlmsel study objectives` measures and matches them",
    "text": f"run `vlmsel measure text {_CATALOGS}` or `vlmsel import features FILE --store ...`",
}
# By what a selector asks of a new task, the least first.
Group = Literal["nothing", "text", "images", "names", "labels", "truth"]
GROUPS: tuple[Group, ...] = ("nothing", "text", "images", "names", "labels", "truth")


def input_group(needs: Needs) -> Group:
    """Name the group of a selector by what it asks of a new task.

    `nothing`: tables of other tasks alone; `text`: class names, and no image; `images`: images
    without class names; `names`: images and class names; `labels`: labels of images, which
    knockouts need, too; `truth`: the accuracies to be predicted, a bound.
    """
    if needs.truth:
        return "truth"
    if needs.labels != "none" or "knockout" in needs.on_target:
        return "labels"
    if needs.on_target and needs.on_target <= {"text"}:
        return "text"
    if needs.class_names:
        return "names"
    return "images" if needs.on_target else "nothing"


def find_lacks(needs: Needs, supply: Supply) -> tuple[Lack, ...]:
    """Say what a selector needs and does not get, with the command that gives each.

    Args:
        needs: of the selector.
        supply: everything at hand.

    Returns:
        One entry per missing thing; empty where the selector can be used.
    """
    return (
        *_missing_truth(needs, supply),
        *_missing_accuracies(needs, supply),
        *_missing_kinds(needs, supply),
        *_missing_target(needs, supply),
    )


def _missing_truth(needs: Needs, supply: Supply) -> list[Lack]:
    if not needs.truth or supply.truth:
        return []
    return [Lack("it is a bound that needs the target's true accuracies")]


def _missing_accuracies(needs: Needs, supply: Supply) -> list[Lack]:
    lacks = []
    command = f"run `vlmsel accuracy {_CATALOGS}` or `vlmsel import accuracies FILE --store ...`"
    if needs.n_sources > supply.n_sources:
        tasks = number_of(needs.n_sources, "source task", "source tasks")
        found = supply.n_sources or "none"
        reason = f"it needs {tasks} with accuracies, there is {found}"
        lacks.append(Lack(reason, command))
    if needs.on_tasks:
        known = max((supply.n_models.get(task, 0) for task in needs.on_tasks), default=0)
        if known == 0:
            lacks.append(Lack("no accuracy on ImageNet is known", "`vlmsel import accuracies`"))
        elif known == 1:
            lacks.append(Lack("the accuracy on ImageNet is known of one model only"))
    return lacks


def _missing_kinds(needs: Needs, supply: Supply) -> list[Lack]:
    lacks = []
    for kind in sorted(needs.on_sources - supply.on_sources):
        reason = f"it needs {_PLURALS.get(kind, kind)}, and there are none"
        command = _COMMANDS.get(kind, f"run `vlmsel measure {kind} {_CATALOGS}`")
        lacks.append(Lack(reason, command))
    named = needs.on_sources - supply.on_sources
    for kind in sorted(needs.on_target - supply.on_target - named):
        reason = f"it needs {_PLURALS.get(kind, kind)} of the images to rank for"
        lacks.append(Lack(reason, "`vlmsel select FOLDER --store ...` measures them"))
    return lacks


def _missing_target(needs: Needs, supply: Supply) -> list[Lack]:
    lacks = []
    if needs.class_names and not supply.class_names:
        lacks.append(Lack("it needs the names of the classes", "give --classnames a,b,c"))
    if _ORDER.index(needs.labels) > _ORDER.index(supply.labels):
        of_all = " of all images" if needs.labels == "all" else ""
        lacks.append(
            Lack(f"it needs labels{of_all}", "`vlmsel evaluate --labels 10,25` simulates some")
        )
    return lacks
