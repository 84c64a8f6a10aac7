from pathlib import Path

import pytest

from vlmsel.api.answer_memory import AnswerRecord, describe_changes, find_reasons

FIRST = AnswerRecord(
    when="2026-01-02T03:04:05+00:00",
    first="a/x",
    accuracy=0.8,
    regret=0.03,
    basis="posterior",
    selector="",
    labels={"1.png": "cat", "2.png": "dog"},
    images=("1.png", "2.png", "3.png"),
    classnames=("cat", "dog"),
    models_run=("a/x", "b/x"),
    models=("a/x", "b/x"),
    evaluated={},
    sources={"s": "0"},
    limits="",
)


def test_the_same_question_has_nothing_new():
    lines = describe_changes(FIRST, FIRST)
    assert lines == [
        "Since the answer of 2026-01-02 03:04 UTC: the first choice is still a/x.",
        "Nothing that enters the answer is new.",
    ]


def test_another_choice_comes_with_its_figures_and_reasons():
    now = FIRST.model_copy(
        update={
            "first": "b/x",
            "regret": 0.01,
            "labels": {"1.png": "cat", "2.png": "cat", "3.png": "dog"},
        }
    )
    outcome, reasons = describe_changes(FIRST, now)
    assert "was a/x and is b/x now" in outcome
    assert "expected regret 3.0 -> 1.0 points" in outcome
    assert "accuracy" not in outcome
    assert reasons == "New since then: 1 more label; 1 label changed (2.png)."


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        ({"images": ("1.png",)}, "2 fewer images (2.png, 3.png)"),
        ({"classnames": ("cat", "dog", "emu")}, "1 more class (emu)"),
        ({"templates": ("a {}.",)}, "1 more template (a {}.)"),
        ({"models_run": ()}, "2 fewer models run on the images (a/x, b/x)"),
        ({"evaluated": {"a/x": 0.5}}, "1 more evaluated model (a/x)"),
        ({"sources": {"s": "1"}}, "other accuracies on 1 source task"),
        ({"sources": {"s": "0", "t": "2"}}, "1 more source task (t)"),
        ({"models": ("a/x",)}, "1 fewer ranked model (b/x)"),
        ({"answers": "words"}, "words of the options are scored instead of letters"),
        ({"limits": "at most 5 ms per image"}, "limits: at most 5 ms per image instead of none"),
    ],
)
def test_every_input_is_a_reason(update, reason):
    assert find_reasons(FIRST, FIRST.model_copy(update=update)) == [reason]


def test_a_selector_is_a_reason_where_it_ranks():
    before = FIRST.model_copy(update={"basis": "estimate", "selector": "margin"})
    now = before.model_copy(update={"selector": "vote"})
    assert find_reasons(before, now) == ["selector vote instead of margin"]
    assert find_reasons(FIRST, FIRST.model_copy(update={"selector": "vote"})) == []


def test_every_field_but_outcomes_can_be_a_reason():
    outcomes = {"when", "first", "accuracy", "regret", "basis"}
    text = Path(__file__).read_text(encoding="utf-8")
    for name in AnswerRecord.model_fields.keys() - outcomes - {"labels", "selector"}:
        assert f'{{"{name}":' in text, f"no reason of {name} is tested"


def test_a_change_without_a_reason_is_said_so():
    now = FIRST.model_copy(update={"first": "b/x"})
    assert "the version of vlmsel may be" in describe_changes(FIRST, now)[1]
