"""Estimates for an answer without labels: the models' answers against those on the sources."""

from collections.abc import Mapping, Sequence

import numpy as np

from vlmsel.api.choice import Choice, choose_label_free
from vlmsel.api.known_zoo import KnownZoo
from vlmsel.errors import SelectionError
from vlmsel.selection.answer_agreement import measure_agreement
from vlmsel.selection.answer_spread import measure_spread
from vlmsel.selection.label_free import LabelFree
from vlmsel.selection.zoo_answers import ZooAnswers


def find_source_answers(zoo: KnownZoo, answers: ZooAnswers) -> dict[str, ZooAnswers]:
    """Answers by source, on as many images each as on the target; empty without sources."""
    if zoo.knowledge is None:
        return {}
    known = zoo.knowledge.first_answers(len(answers.images))
    return {name: known[name] for name in zoo.sources if name in known}


def compare_with_sources(
    classnames: Sequence[str], answers: ZooAnswers, known: Mapping[str, ZooAnswers]
) -> tuple[str, bool]:
    """Say how answers on the images differ from those on every source.

    Returns:
        A sentence, empty where they do not; whether most answers fall into one class, so that
        agreement says nothing.
    """
    spread = measure_spread(answers, known)
    if spread is not None and spread.is_unusual:
        number = spread.class_number
        # Of generated answers the last class is for those that are none of the options.
        has_name = number < len(classnames)
        name = f"'{classnames[number]}'" if has_name else "none of the options"
        note = (
            f"most models answer {name} on {spread.n_of_class} "
            f"of {len(answers.images)} images, more in one class than on any source: their "
            "agreement says nothing here (do the class names and templates fit?)"
        )
        return note, True
    agreement = measure_agreement(answers, known)
    return "" if agreement is None else agreement.notice or "", False


def estimate_zoo(
    zoo: KnownZoo, selector: str | None, answers: ZooAnswers, known: Mapping[str, ZooAnswers]
) -> tuple[Choice | None, np.ndarray | None, np.ndarray | None]:
    """Choose the selector that ranks without labels, and estimate the accuracy of every model.

    Args:
        zoo: what is known of the models.
        selector: by name; None takes the one that leave-one-out over the sources supports.
        answers: on the images.
        known: answers by source, as `find_source_answers` gives them.

    Returns:
        The choice; its estimates, (models,); those on the sources, (sources, models), NaN where
        there are no answers. None each where no selector can.

    Raises:
        SelectionError: the selector needs the logits of the answers.
    """
    if zoo.knowledge is None:
        return None, None, None
    choice = choose_label_free(zoo.knowledge, len(answers.images), selector)
    if choice is None or not isinstance(choice.selector, LabelFree):
        return None, None, None
    estimate = _estimate(choice.selector, zoo, answers)
    if not np.isfinite(estimate).any():
        raise SelectionError(
            f"selector {choice.name} reads the logits of the answers, which are read by "
            "`vlmsel evaluate` alone; leave --selector out"
        )
    nothing = np.full(len(zoo.models), np.nan)
    rows = [
        _estimate(choice.selector, zoo, known[name]) if name in known else nothing
        for name in zoo.sources
    ]
    return choice, estimate, np.stack(rows) if rows else None


def _estimate(selector: LabelFree, zoo: KnownZoo, answers: ZooAnswers) -> np.ndarray:
    """Accuracies that a selector believes, of the models of a zoo; NaN without answers."""
    place = {key: i for i, key in enumerate(zoo.models)}
    rows = [i for i, key in enumerate(answers.models) if key in place]
    among = answers.select_models(rows)
    found = np.full(len(zoo.models), np.nan)
    found[[place[key] for key in among.models]] = selector.estimate(among)
    return found
