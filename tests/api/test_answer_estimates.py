"""Answers without labels against those on the sources."""

import numpy as np
import pytest

from tests.api.made_store import MODELS, TASKS, MadeStore, n_right
from vlmsel.api.answer_estimates import compare_with_sources, estimate_zoo, find_source_answers
from vlmsel.api.known_zoo import shipped_zoo
from vlmsel.errors import SelectionError
from vlmsel.selection.zoo_answers import ZooAnswers


def three_models(classes: list[int]) -> ZooAnswers:
    """Three models that give these answers, of four classes."""
    table = np.array([classes] * 3)
    nothing = np.full(table.shape, np.nan)
    models = tuple((name, "x") for name in "abc")
    return ZooAnswers(models, ("q0", "q1", "q2"), table, 4, nothing, nothing, nothing)


@pytest.mark.parametrize(("number", "name"), [(3, "none of the options"), (1, "'B'")])
def test_answers_that_are_mostly_one_class_are_named(number: int, name: str) -> None:
    sources = {"s": three_models([0, 1, 2])}
    note, is_collapsed = compare_with_sources("ABC", three_models([number] * 3), sources)
    assert is_collapsed
    assert note.startswith(f"most models answer {name} on 3 of 3 images")


def test_answers_that_spread_as_on_the_sources_are_no_news() -> None:
    sources = {"s": three_models([0, 1, 2])}
    assert compare_with_sources("ABC", three_models([2, 0, 1]), sources) == ("", False)
    assert compare_with_sources("ABC", three_models([1, 1, 1]), {}) == ("", False)


def test_models_that_agree_less_than_on_any_source_are_told() -> None:
    sources = {f"s{i}": three_models([0, 1, 2]) for i in range(10)}
    among = three_models([0, 1, 2])
    # Two of three agree on another class of every image, so that the answers spread as before.
    among.classes[:] = [[0, 1, 2], [0, 1, 2], [1, 2, 0]]
    note, is_collapsed = compare_with_sources("ABC", among, sources)
    assert note.startswith("the models agree less on these images than on any source (")
    assert not is_collapsed


def test_sources_are_compared_on_as_many_images(made: MadeStore) -> None:
    zoo = made.known()
    assert zoo.knowledge is not None
    answers = zoo.knowledge.answers["ant"].first_images(7)
    known = find_source_answers(zoo, answers)
    assert tuple(known) == TASKS
    assert {len(found.images) for found in known.values()} == {7}


def test_estimates_are_of_every_model_that_answered(made: MadeStore) -> None:
    zoo = made.known()
    assert zoo.knowledge is not None
    answers = zoo.knowledge.answers["ant"].select_models([0, 2, 4])
    known = find_source_answers(zoo, answers)
    choice, estimate, of_sources = estimate_zoo(zoo, "consensus", answers, known)
    assert choice is not None
    assert choice.name == "consensus"
    assert estimate is not None
    assert of_sources is not None
    assert np.isfinite(estimate).tolist() == [True, False, True, False, True]
    assert estimate[0] > estimate[4]
    assert of_sources.shape == (len(TASKS), len(MODELS))
    # On a source the models are estimated in the order of their accuracies.
    right = [n_right(model, "bee") for model in MODELS]
    assert np.corrcoef(of_sources[1], right)[0, 1] > 0.8


def test_a_selector_that_reads_logits_is_refused(made: MadeStore) -> None:
    zoo = made.known()
    assert zoo.knowledge is not None
    answers = zoo.knowledge.answers["ant"]
    with pytest.raises(SelectionError, match="confidence reads the logits of the answers"):
        estimate_zoo(zoo, "confidence", answers, find_source_answers(zoo, answers))


def test_published_models_have_no_answers_on_sources(made: MadeStore, tmp_path) -> None:
    zoo, answers = shipped_zoo(str(tmp_path), None), three_models([0, 1, 2])
    assert find_source_answers(zoo, answers) == {}
    assert estimate_zoo(zoo, None, answers, {}) == (None, None, None)
