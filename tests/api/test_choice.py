"""Choice of a selector on what is known of the sources."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from vlmsel.api.choice import choose_label_free, choose_selector, refuse_texts, source_tasks
from vlmsel.api.laboratory import Knowledge
from vlmsel.errors import SelectionError
from vlmsel.selection.needs import Needs
from vlmsel.selection.zoo_answers import ZooAnswers

MODELS = tuple((f"m{i}", "x") for i in range(5))
Make = Callable[..., Knowledge]


def know(n_tasks: int, *, with_answers: bool = False, imagenet: bool = False) -> Knowledge:
    """Five models, each better than the next; their answers differ where one is wrong."""
    names = [f"task-{i}" for i in range(n_tasks)] + ["imagenet1k"] * imagenet
    rows = [(*key, name, 0.9 - 0.1 * m) for name in names for m, key in enumerate(MODELS)]
    table = pl.DataFrame(rows, schema=["model", "pretrained", "task", "acc1"], orient="row")
    profiles = pl.DataFrame(schema={"task": pl.String})
    answers = {name: make_answers(seed) for seed, name in enumerate(names)} if with_answers else {}
    return Knowledge(table, profiles, "made up", answers_of=lambda: answers)


def make_answers(seed: int) -> ZooAnswers:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 40)
    wrong = rng.random((5, 40)) < 0.1 + 0.1 * np.arange(5)[:, None]
    classes = np.where(wrong, (truth + rng.integers(1, 4, (5, 40))) % 4, truth)
    nothing = np.full(classes.shape, np.nan)
    images = tuple(f"{i}.png" for i in range(40))
    return ZooAnswers(MODELS, images, classes, 4, nothing, nothing, nothing)


@pytest.mark.parametrize(
    ("n_tasks", "why"),
    [
        (1, "1 source is too few to choose a selector on"),
        (3, "3 sources are too few to choose a selector on"),
        (10, "on the sources, no selector that looks at images clearly beats it"),
    ],
)
def test_average_rank_is_the_default_with_its_reason(n_tasks: int, why: str) -> None:
    choice = choose_selector(know(n_tasks))
    assert (choice.name, choice.why) == ("average-rank", why)
    assert (choice.loo is None) == (n_tasks == 1)
    assert not choice.needs.looks_at_images


def test_a_selector_by_name_is_judged_beside_average_rank() -> None:
    choice = choose_selector(know(3, imagenet=True), "imagenet")
    assert (choice.name, choice.why) == ("imagenet", "chosen by you")
    assert choice.loo is not None
    assert set(choice.loo.metrics["selector"]) == {"imagenet", "average-rank"}


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("imagenet", "no accuracy on ImageNet is known"),
        ("dcd", "selector dcd cannot rank new images"),
        ("vega", "selector vega looks at texts, which `vlmsel evaluate --selector vega` reads"),
        ("dcd-poled", "no selector 'dcd-poled'; did you mean dcd-pooled"),
    ],
)
def test_a_selector_that_lacks_its_inputs_is_refused(selector: str, words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        choose_selector(know(3), selector)


def test_without_any_accuracy_nothing_can_be_chosen() -> None:
    with pytest.raises(SelectionError, match="no selector can rank new images"):
        choose_selector(know(0))


def test_only_selectors_of_texts_are_refused_as_such() -> None:
    refuse_texts(None)
    refuse_texts("dcd")
    with pytest.raises(SelectionError, match="leave the selector out"):
        refuse_texts("modelgpt")


def test_a_choice_among_answers_needs_some_of_the_sources() -> None:
    assert choose_label_free(know(4), 40) is None
    few = choose_label_free(know(1, with_answers=True), 40, "consensus")
    assert few is not None
    assert few.loo is None
    with pytest.raises(SelectionError, match=r"average-rank looks at no answers: .* consensus"):
        choose_label_free(know(4, with_answers=True), 40, "average-rank")
    chosen = choose_label_free(know(4, with_answers=True), 40, "consensus")
    assert chosen is not None
    assert chosen.loo is not None
    assert set(chosen.loo.metrics["selector"]) == {"consensus", "average-rank"}
    # Average rank is never wrong here, so none of them is supported.
    assert choose_label_free(know(4, with_answers=True), 40) is None


def test_sources_are_tasks_with_what_a_selector_needs() -> None:
    knowledge = know(3, imagenet=True)
    assert source_tasks(knowledge, Needs()) == ("task-0", "task-1", "task-2")
    assert source_tasks(knowledge, Needs(on_sources=frozenset({"profile"}))) == ()
