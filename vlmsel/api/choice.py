"""The choice of a selector: made on what is known of the sources, before anything is measured."""

from dataclasses import dataclass, field, replace

import polars as pl

from vlmsel.api.laboratory import Knowledge, evaluate, require_inputs, supply_of, usable_selectors
from vlmsel.columns import IMAGENET_NAMES
from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import BASELINE, LeaveOneOut
from vlmsel.evaluation.verdict import IMAGENET, judge_evidence
from vlmsel.selection.needs import Needs
from vlmsel.selection.registry import make_selector, selector_names
from vlmsel.selection.selector import BaseSelector

# What may become the default: the method's own selectors; ablations and bounds may not.
CANDIDATES = ("dcd", "dcd-scaled", "dcd-pooled", "combined")
# The same where the classes of the images are named, and models answer on them.
LABEL_FREE = ("dawid-skene", "consensus", "pair-agreement")
# Leave-one-out needs two tasks: one to hold out, one to rank by.
JUDGEABLE = 2


@dataclass(frozen=True)
class Choice:
    """A selector, with the evidence that it rests on.

    Attributes:
        selector: ready to rank.
        why: why this selector, for people.
        loo: leave-one-out over the sources, of this selector and of average rank at least; None
            with fewer than two sources.
    """

    selector: BaseSelector
    why: str
    loo: LeaveOneOut | None = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the selector."""
        return self.selector.name

    @property
    def needs(self) -> Needs:
        """Requirements that must be measured before it can rank."""
        return self.selector.needs


def choose_selector(knowledge: Knowledge, selector: str | None = None) -> Choice:
    """Choose the selector for any new target.

    Args:
        knowledge: accuracies and, where there are some, profiles of the sources.
        selector: by name; None takes the one that leave-one-out over the sources supports.

    Raises:
        SelectionError: there is no such selector, or the knowledge lacks what it needs.
    """
    refuse_texts(selector)
    require_inputs(selector, knowledge)
    n_sources = supply_of(knowledge).n_sources
    if selector is not None:
        made, names = make_selector(selector), list(dict.fromkeys([selector, BASELINE]))
        loo = _judge(knowledge, names) if n_sources >= JUDGEABLE else None
        return Choice(made, "chosen by you", loo)
    if n_sources < JUDGEABLE:
        return Choice(make_selector(BASELINE), "1 source is too few to choose a selector on", None)
    loo = _judge(knowledge, _candidates(knowledge))
    name, why = _find_supported(loo)
    if name == BASELINE and _drop_profiles(knowledge, [name]) is not knowledge:
        # It knows more sources than the candidates that it was held against.
        loo = _judge(knowledge, [name])
    return Choice(make_selector(name), why, loo)


def refuse_texts(selector: str | None) -> None:
    """Refuse a selector that needs texts, which only an evaluation reads.

    Raises:
        SelectionError: it looks at texts; or there is no such selector.
    """
    if selector is not None and make_selector(selector).needs_texts:
        raise SelectionError(
            f"selector {selector} looks at texts, which `vlmsel evaluate --selector {selector}` "
            "reads of every task and select of none: leave the selector out"
        )


def choose_label_free(
    knowledge: Knowledge, n_images: int, selector: str | None = None
) -> Choice | None:
    """Choose among the selectors that look at answers on unlabelled images, and average rank.

    Args:
        knowledge: accuracies and answers of the sources.
        n_images: answered images of the target; as many of each source are looked at.
        selector: by name; None takes the one that leave-one-out over the sources supports.

    Returns:
        The choice; None where the sources support none of them, or there are no answers of them.

    Raises:
        SelectionError: there is no such selector, or it looks at something else.
    """
    refuse_texts(selector)
    if selector is not None and not make_selector(selector).needs_answers:
        usable = [name for name in selector_names() if make_selector(name).needs_answers]
        raise SelectionError(
            f"selector {selector} looks at no answers: with class names use {', '.join(usable)}, "
            "or leave the class names out"
        )
    bare = replace(knowledge, profiles=knowledge.profiles.clear())
    n_sources = supply_of(bare).n_sources if bare.answers else 0
    names = [BASELINE, *([selector] if selector else LABEL_FREE)]
    loo = evaluate(bare, names, answered=n_images) if n_sources >= JUDGEABLE else None
    if selector is not None:
        return Choice(make_selector(selector), "chosen by you", loo)
    if loo is None:
        return None
    name, why = _find_supported(loo)
    return None if name == BASELINE else Choice(make_selector(name), why, loo)


def source_tasks(knowledge: Knowledge, needs: Needs) -> tuple[str, ...]:
    """The tasks that a selector with these needs can learn from, by name."""
    known = knowledge.accuracies.filter(pl.col("acc1").is_finite())
    tasks = set(known["task"]) - set(IMAGENET_NAMES)
    if "profile" in needs.on_sources:
        tasks &= set(knowledge.profiles["task"])
    return tuple(sorted(tasks))


def _candidates(knowledge: Knowledge) -> list[str]:
    """List the selectors to hold against each other on the sources."""
    usable = set(usable_selectors(knowledge))
    return [name for name in (BASELINE, IMAGENET, *CANDIDATES) if name in usable]


def _judge(knowledge: Knowledge, names: list[str]) -> LeaveOneOut:
    return evaluate(_drop_profiles(knowledge, names), names)


def _drop_profiles(knowledge: Knowledge, names: list[str]) -> Knowledge:
    """The same without profiles, where no selector asks for them and they would cost sources."""
    if any(make_selector(name).needs_profiles for name in names):
        return knowledge
    profiled = set(knowledge.profiles["task"])
    if profiled.issuperset(source_tasks(knowledge, Needs())):
        return knowledge
    return replace(knowledge, profiles=knowledge.profiles.clear())


def _find_supported(loo: LeaveOneOut) -> tuple[str, str]:
    """The selector that leave-one-out over the sources supports, and the evidence in words."""
    verdict = judge_evidence({"the sources": loo})
    for n_tasks in (verdict.too_few or {}).values():
        return BASELINE, f"{n_tasks} sources are too few to choose a selector on"
    if verdict.selector == BASELINE:
        return BASELINE, "on the sources, no selector that looks at images clearly beats it"
    row = verdict.comparisons.filter(selector=verdict.selector, rival=BASELINE, metric="ndcg5").row(
        0, named=True
    )
    return verdict.selector, (
        f"in leave-one-out over {row['n_targets']} sources it beats average rank in NDCG@5 by "
        f"{row['delta']:.3f} (95 % interval {row['delta_low']:.3f} to {row['delta_high']:.3f})"
    )
