"""The decision: what is known of a zoo and some labels becomes an answer."""

from dataclasses import replace

import numpy as np
import pytest

from tests.selection.posterior.conftest import HITS
from tests.selection.posterior.conftest import SOURCES as ACCURACY
from vlmsel.errors import SelectionError
from vlmsel.selection.answer import Question, answer, average_rank_order, compute_regret_after
from vlmsel.selection.posterior import advise, condition, fit_prior, observe_hits
from vlmsel.selection.zoo_answers import ZooAnswers

MODELS = tuple((name, "x") for name in "abcd")


def answers_of(classes: np.ndarray, n_classes: int = 3) -> ZooAnswers:
    nothing = np.full(classes.shape, np.nan)
    images = tuple(f"i{i}" for i in range(classes.shape[1]))
    return ZooAnswers(MODELS[: len(classes)], images, classes, n_classes, *[nothing] * 3)


@pytest.fixture
def question() -> Question:
    # Truth is class 0 everywhere; a miss is class 1.
    labels = {f"i{i}": 0 for i in range(len(HITS))}
    return Question(MODELS, ACCURACY, answers=answers_of(1 - HITS.T), labels=labels)


def test_with_every_answered_image_labelled_it_is_the_plain_posterior(question):
    posterior = condition(fit_prior(ACCURACY), observe_hits(HITS.astype(float)))
    found = answer(question)
    np.testing.assert_allclose(found.accuracy, posterior.accuracy)
    np.testing.assert_allclose(found.accuracy, [0.6212, 0.5306, 0.6790, 0.4482], atol=5e-5)
    assert found.ranks.tolist() == [2, 3, 1, 4]
    assert (found.n_labels, found.basis, found.first) == (10, "posterior", 2)
    assert found.worth == 10
    expected = advise(posterior.draw(2000, np.random.default_rng(0)), posterior.score)
    assert found.regret == pytest.approx(expected.expected_regret)


def test_expected_regret_is_near_the_golden_one(question):
    assert answer(question).regret == pytest.approx(0.0093, abs=0.002)
    assert answer(question).enough is True
    assert answer(replace(question, tolerance=0.005)).enough is False


def test_more_labels_are_expected_to_lower_the_regret(question):
    regrets = answer(question).regrets
    assert list(regrets) == [0, 25, 50, 100]
    assert regrets[100] < regrets[0]


def test_unlabelled_images_make_labels_worth_more():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 200)
    right = rng.random((4, 200)) < np.array([[0.9], [0.7], [0.5], [0.3]])
    classes = np.where(right, truth, (truth + 1 + rng.integers(0, 2, (4, 200))) % 3)
    labels = {f"i{i}": int(truth[i]) for i in range(20)}
    found = answer(Question(MODELS, ACCURACY, answers=answers_of(classes), labels=labels))
    assert found.n_images == 200
    assert found.worth > 20


def test_the_verdict_changes_only_at_the_listed_numbers(question):
    def verdict(n: int) -> tuple[bool | None, int | None]:
        labels = {f"i{i}": 0 for i in range(n)}
        found = answer(replace(question, labels=labels, tolerance=0.5))
        return found.enough, found.checked

    assert verdict(0) == (None, None)
    assert verdict(4) == (False, None)
    assert verdict(5) == (True, 5)
    assert verdict(9) == (True, 5)
    assert verdict(10) == (True, 10)


def test_without_labels_it_is_average_rank_and_the_prior_says_what_to_expect():
    found = answer(Question(MODELS, ACCURACY))
    assert found.basis == "average-rank"
    assert found.ranks.tolist() == np.argsort(np.argsort(-ACCURACY.mean(0))).__add__(1).tolist()
    assert found.first == average_rank_order(ACCURACY)[0] == found.average_rank
    assert found.regret == pytest.approx(0.0082, abs=0.002)


def test_an_estimate_ranks_where_there_are_no_labels():
    estimate = np.array([0.2, 0.9, 0.4, 0.6])
    found = answer(Question(MODELS, ACCURACY, estimate=estimate, source_estimates=ACCURACY))
    assert found.basis == "estimate"
    assert found.ranks.tolist() == [4, 1, 3, 2]
    assert found.accuracy[1] > found.accuracy[0]


def test_an_evaluated_model_is_known_and_two_make_the_order():
    first = answer(Question(MODELS, ACCURACY, evaluated={MODELS[2]: 0.55}))
    assert first.basis == "average-rank"
    np.testing.assert_allclose(first.accuracy, [0.4823, 0.4101, 0.5502, 0.3321], atol=5e-5)
    assert first.next_model == 0
    second = answer(Question(MODELS, ACCURACY, evaluated={MODELS[2]: 0.3, MODELS[3]: 0.7}))
    assert (second.basis, second.first) == ("posterior", 3)


def test_an_evaluated_model_gives_no_hits(question):
    found = answer(replace(question, evaluated={MODELS[0]: 0.99}))
    assert np.isnan(found.hits[:, 0]).all()
    assert found.first == 0


def test_only_eligible_models_are_chosen(question):
    eligible = np.array([True, True, False, True])
    found = answer(replace(question, eligible=eligible))
    assert found.first == 0
    assert found.ranks[2] == 0
    assert set(found.among) == {0, 1, 3}
    assert found.advice is not None
    assert found.advice.p_best.sum() == pytest.approx(1.0)


def test_a_shortlist_keeps_the_others_posterior_and_names_the_next(question):
    short = replace(question, answers=answers_of(1 - HITS.T[:2]))
    found = answer(short)
    assert np.isfinite(found.accuracy).all()
    assert np.isnan(found.hits[:, 2:]).all()
    assert found.next_model == 2


@pytest.mark.parametrize("n_sources", [0, 1])
def test_without_a_prior_the_hits_alone_rank(question, n_sources):
    found = answer(replace(question, accuracy=ACCURACY[:n_sources]))
    assert found.basis == "hits"
    assert found.ranks[3] == 4
    assert found.regret is not None


def test_without_a_prior_models_without_hits_are_not_ranked(question):
    found = answer(replace(question, accuracy=ACCURACY[:0], answers=answers_of(1 - HITS.T[:3])))
    assert found.ranks[3] == 0
    assert found.advice is not None
    assert np.isfinite(found.advice.accuracy_low).all()


def test_labels_outside_the_classes_are_dropped_and_counted(question):
    labels = {**question.labels, "i0": -1, "i1": 7}
    found = answer(replace(question, labels=labels))
    assert (found.n_labels, found.n_outside) == (8, 2)


def test_rivals_are_told():
    far = np.array([[0.9, 0.2], [0.95, 0.3], [0.85, 0.1], [0.9, 0.25]])
    found = answer(Question(MODELS[:2], far))
    assert found.rivals == ()
    near = np.array([[0.9, 0.8], [0.5, 0.6], [0.85, 0.8], [0.3, 0.4]])
    assert answer(Question(MODELS[:2], near)).rivals


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": ACCURACY[:0], "answers": None, "labels": {}}, "no source task is known"),
        ({"eligible": np.zeros(4, bool)}, "no model of the zoo is within the limits"),
        ({"evaluated": {("z", "x"): 0.5}}, "evaluated model z/x is not in the zoo"),
        ({"models": MODELS[:3]}, "one column per model"),
    ],
)
def test_impossible_questions_are_refused(question, change, message):
    with pytest.raises(SelectionError, match=message):
        answer(replace(question, **change))


@pytest.mark.parametrize("n", [0, 1, 4, 10])
def test_the_regret_of_the_first_labels_is_that_of_their_answer(question, n):
    labels = dict(list(question.labels.items())[:n])
    assert compute_regret_after(question, n) == pytest.approx(
        answer(replace(question, labels=labels)).regret
    )


def test_no_regret_is_known_without_sources_and_labels(question):
    bare = replace(question, accuracy=ACCURACY[:0])
    assert compute_regret_after(bare, 0) is None
    assert compute_regret_after(bare, 5) is not None
