"""The work behind the label page: saved, advised, gone on with, and ended with select's answer."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from polars.testing import assert_frame_equal

from tests.labelling.small_lab import CLASSES, SmallLab, make_small_lab
from vlmsel.api import answer_limits
from vlmsel.api.answer import (
    AnswerOptions,
    answer_images,
    answer_known,
    conclude,
    prepare_target,
    read_run,
)
from vlmsel.api.label import LabelSession
from vlmsel.api.label_plan import plan_labels, read_book
from vlmsel.api.label_state import choose_points
from vlmsel.cli.views.answer_view import answer_dict
from vlmsel.errors import TaskError

# Processes that import torch, or threads that measure: a busy machine needs longer.
pytestmark = pytest.mark.timeout(180)
WAIT_S = 120


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> SmallLab:
    return make_small_lab(tmp_path_factory.mktemp("lab"))


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def settle(session: LabelSession) -> dict:
    """Wait until the models have answered and the advice is of the last label."""

    def is_settled() -> bool:
        state = session.state()
        assert state["measuring"]["phase"] != "failed", state["measuring"]
        return state["measuring"]["phase"] == "done" and state["is_current"]

    wait_until(is_settled)
    return session.state()


def label_next(session: LabelSession, lab: SmallLab, n: int) -> None:
    for _ in range(n):
        image = session.state()["queue"][0]["id"]
        session.label(image, lab.truth[image])


def test_a_session_from_the_first_label_to_the_answer(lab, tmp_path):
    """One long test, since each session has the models answer."""
    out = tmp_path / "labels.csv"
    session = LabelSession(lab.plan(out))
    session.start()
    # The page works before any model has answered.
    assert session.state()["n_classes"] == len(CLASSES)
    label_next(session, lab, 6)
    state = settle(session)
    standing = state["standing"]
    assert (standing["labels"], standing["checked"]) == (6, 5)
    assert [n for n, _ in state["curve"]] == choose_points(6, (5,))
    assert dict(state["curve"])[6] == standing["regret"]
    assert {model["name"] for model in standing["models"]} == {
        f"{key[0]}/{key[1]}" for key in lab.zoo.models
    }
    found = session.answer()
    options = AnswerOptions(classnames=CLASSES, templates=lab.plan(out).options.templates)
    selected = answer_images(lab.images, lab.zoo, replace(options, labels=out))
    told, expected = answer_dict(found, 5), answer_dict(selected, 5)
    assert_frame_equal(told.pop("ranking"), expected.pop("ranking"))
    assert told == expected
    assert standing["regret"] == found.found.regret

    # A class that is added: answers come from the embeddings, no picture is decoded for a model.
    session.add_class("q")
    last = session.state()["queue"][0]["id"]
    session.label(last, "q")
    wait_until(lambda: session.state()["measuring"]["is_derived"])
    settle(session)
    assert session.state()["standing"]["labels"] == 7
    assert "q" in session.answer().target_labels.classnames
    derived = answer_known(
        prepare_target(lab.images, lab.zoo, replace(options, classnames=(*CLASSES, "q")))
    )
    assert (derived.found.n_images, session.n_unanswered) == (len(lab.truth), 0)
    session.stop()

    # Opened again it goes on: labels, the added class, and nothing to measure.
    again = LabelSession(lab.plan(out))
    assert again.book.added == ("q",)
    assert again.book.labels[last] == "q"
    again.start()
    state = settle(again)
    assert len(state["curve"]) == 8
    assert state["standing"]["labels"] == 7
    again.undo(last)
    assert again.state()["queue"][0]["id"] == last
    again.finish()
    with pytest.raises(TaskError, match="is finished"):
        again.label(last, "q")
    again.stop()


def test_a_class_that_is_added_decodes_nothing(lab, tmp_path, monkeypatch):
    session = LabelSession(lab.plan(tmp_path / "labels.csv"))
    session.start()
    wait_until(lambda: session.state()["measuring"]["phase"] == "done")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an image was asked for")

    # Also where an image was decoded before, it is not looked at again.
    monkeypatch.setattr("vlmsel.execution.work.decoded_images.DecodedCache.get", refuse)
    session.add_class("zebra")
    wait_until(lambda: session.state()["measuring"]["phase"] in ("done", "failed"))
    measuring = session.state()["measuring"]
    assert (measuring["phase"], measuring["n_failures"]) == ("done", 0)
    session.stop()


def test_an_order_that_picks_is_marked(lab, tmp_path):
    out = tmp_path / "labels.csv"
    options = AnswerOptions(classnames=CLASSES)
    session = LabelSession(plan_labels(lab.images, lab.zoo, options, out=out, order="vma"))
    assert session.state()["order"] == {"name": "vma", "is_random": False}
    label_next(session, lab, 2)
    # Two images beyond a gap: of a random sample they would wait.
    session.label(session.book.images[-1], None)
    assert out.read_text().splitlines()[0] == "image,label,picked_by"
    found = session.answer()
    assert any("no random sample" in note for note in found.notes)
    assert len(found.draw.used) == 3
    # `select` reads the mark in the file, whatever is said of the labels.
    asked = replace(options, labels=out, labels_are_random=True)
    selected = answer_known(prepare_target(lab.images, lab.zoo, asked))
    assert any("picked by 'vma'" in note for note in selected.notes)
    assert len(selected.draw.used) == 3
    with pytest.raises(TaskError, match="begun in the order 'vma'"):
        lab.plan(out)


def test_labels_of_images_beyond_those_that_are_looked_at_stay(lab, tmp_path, monkeypatch):
    out = tmp_path / "labels.csv"
    plan = lab.plan(out)
    *kept, beyond = plan.ready.target.order[:6]
    ready = replace(plan.ready, target=replace(plan.ready.target, order=tuple(kept)))
    session = LabelSession(replace(plan, ready=ready, book=read_book(plan.files, ready, 1)))
    rows = [f"{image},{lab.truth[image]}" for image in (kept[0], beyond)]
    out.write_text("\n".join(("image,label", *rows)) + "\n")
    monkeypatch.setattr(session._measurement, "start", lambda ready: None)
    session.start()
    state = session.state()
    assert [state["last"]["id"], state["recent"][0]["id"]] == [beyond, beyond]
    assert (state["labelled"], state["images"], state["n_open"]) == (2, 6, 4)
    assert session.book.images[state["last"]["number"]] == beyond
    # Taken back it is asked for again, as any other, and no label is lost.
    session.undo(beyond)
    first = session.state()["queue"][0]
    assert first["id"] == beyond
    session.label(beyond, lab.truth[beyond])
    session.stop()
    assert out.read_text().splitlines()[1:] == rows


def test_a_picture_that_cannot_be_read_is_passed_over(lab, tmp_path):
    session = LabelSession(lab.plan(tmp_path / "labels.csv"))
    session._refs = {x: replace(ref, source="/nowhere") for x, ref in session._refs.items()}
    first = session.state()["queue"][0]
    from vlmsel.errors import ImageError

    with pytest.raises(ImageError):
        session.image(first["number"])
    state = session.state()
    assert state["queue"][0]["id"] != first["id"]
    assert state["unreadable"][0]["name"] == first["name"]


def test_a_new_answer_to_the_same_run_asks_the_store_for_no_times(lab, monkeypatch):
    ready = prepare_target(lab.images, lab.zoo, AnswerOptions(classnames=CLASSES))
    run = read_run(ready, ready.workspace(), None)

    def fail(*_: object) -> dict[str, float]:
        raise AssertionError("the store was asked")

    monkeypatch.setattr(answer_limits, "read_timings", fail)
    assert conclude(ready, run, with_estimate=False).first
