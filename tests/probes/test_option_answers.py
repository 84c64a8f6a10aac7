"""Generated answers matched with options, and rows of scores, without a model."""

from types import SimpleNamespace

import pytest
import torch

from vlmsel.errors import ModelError
from vlmsel.measurements import Prediction
from vlmsel.probes.option_answers import match_answers, match_option, predict_options
from vlmsel.settings import NO_OPTION
from vlmsel.tasks.questions import ChoiceQuestion, TaskQuestions
from vlmsel.zoo.choices import ChoiceScores

OPTIONS = ("a red car", "a bus", "a red car on a bus")
ITEMS = {
    "x": ChoiceQuestion("?", ("a red car", "a bus")),
    "y": ChoiceQuestion("?", OPTIONS),
    "z": ChoiceQuestion("?", ("left", "right")),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B", 1),
        ("(B).", 1),
        ("The answer is B: a bus", 1),
        ("A or B", None),
        ("b", None),
        ("D", None),
        ("It is a Bus", 1),
        ("a red car", 0),
        ("a red car on a bus", None),
        ("no idea", None),
        ("", None),
        ("ABC", None),
        ("BC: a bus", 1),
    ],
)
def test_answers_are_matched_as_vlmevalkit_does(text, expected):
    assert match_option(text, OPTIONS) == expected


def test_an_answer_outside_the_options_is_a_class_of_its_own():
    questions = list(ITEMS.values())
    scores = match_answers(["A", "what?", "right"], questions, 3)
    assert scores.argmax(dim=1).tolist() == [0, 3, 1]
    assert set(scores.unique().tolist()) == {0.0, NO_OPTION}


class Scorer:
    """Scores that are known, of three questions, of which one cannot be asked."""

    def __call__(self, pictures, choices):
        self.asked = choices
        log_p = torch.tensor([[-3.0, -1.0], [-2.0, -9.0], [float("nan"), float("nan")]])
        lengths = torch.tensor([len(choice.options[1]) for choice in choices])
        return ChoiceScores(log_p, log_p / lengths[:, None], torch.zeros(3), {2: "too long"})

    def answer(self, pictures, choices):
        return ["B", "nothing", ""], {2: "too long"}


class OfThree(SimpleNamespace):
    def __len__(self):
        return 3


@pytest.mark.parametrize(
    ("options", "argmax", "n_classes"),
    [("sum", [1, 0], 3), ("mean", [1, 0], 3), ("generated", [1, 3], 4)],
)
def test_rows_have_the_options_of_the_largest_question(options, argmax, n_classes):
    scorer = Scorer()
    model = SimpleNamespace(score_choices=scorer, spec=SimpleNamespace(name="m/x"))
    batch = OfThree(model=model, pictures=(None, None, None))
    questions = TaskQuestions(ITEMS, "words", 3)
    found = predict_options(batch, questions, Prediction(options=options))
    assert found.images == [0, 1]
    assert found.failures == {2: "too long"}
    assert found.columns["argmax"].to_pylist() == argmax
    assert found.columns["n_classes"].to_pylist() == [n_classes] * 2
    assert [len(row) for row in found.columns["logits"].to_pylist()] == [n_classes] * 2
    if options == "sum":
        assert [choice.whole for choice in scorer.asked] == [True] * 3
        assert found.columns["logits"].to_pylist()[0] == [-3.0, -1.0, NO_OPTION]
        assert found.columns["log_sum_exp"].to_pylist()[0] == pytest.approx(-0.8731, abs=1e-4)


@pytest.mark.parametrize("options", ["sum", "mean"])
def test_what_is_no_number_is_no_answer(options):
    class Broken(Scorer):
        def __call__(self, pictures, choices):
            log_p = torch.tensor([[-3.0, float("nan"), NO_OPTION]] * 3)
            return ChoiceScores(log_p, log_p / 2, torch.zeros(3), {})

    model = SimpleNamespace(score_choices=Broken(), spec=SimpleNamespace(name="m/x"))
    batch = OfThree(model=model, pictures=(None, None, None))
    found = predict_options(batch, TaskQuestions(ITEMS, "words", 3), Prediction(options=options))
    assert found.images == []
    assert found.failures == dict.fromkeys(range(3), "its log-probabilities are not finite")


def test_a_dual_encoder_answers_no_questions():
    model = SimpleNamespace(score_choices=None, spec=SimpleNamespace(name="ViT-B-32/x"))
    batch = OfThree(model=model, pictures=())
    with pytest.raises(ModelError, match="ViT-B-32/x answers no questions"):
        predict_options(batch, TaskQuestions(ITEMS, "words", 3), Prediction())


def test_earlier_predictions_keep_their_key():
    assert Prediction().digest == "ff91353f5419e1c3"
    assert (
        len({Prediction(options=options).digest for options in ("sum", "mean", "generated")}) == 3
    )
