"""Failure notes: one file per cell, readable by people, damage named."""

import json

import pytest

from tests.store.cases import PAPER, PROFILE, make_cell
from vlmsel.store.failures import FailureLog
from vlmsel.store.filesystem import open_folder

PLACE = ("profile", PROFILE.digest)


def test_notes_are_plain_json(store_uri: str) -> None:
    folder = open_folder(store_uri)
    FailureLog(folder).add(make_cell(), "cannot load", "error")
    (path,) = folder.files("failures")
    note = json.loads(folder.read(path))
    assert len(note.pop("check")) == 16
    assert note == {
        "attempts": 1,
        "kind": "error",
        "reason": "cannot load",
    }


def test_cells_measured_since_are_not_failures(store_uri: str) -> None:
    log, first, second = (
        FailureLog(open_folder(store_uri)),
        make_cell(task="a"),
        make_cell(task="b"),
    )
    for cell in (second, first):
        log.add(cell, "no", "error")
    assert log.frame(*PLACE, set)["task"].to_list() == ["a", "b"]
    assert log.frame(*PLACE, lambda: {first})["task"].to_list() == ["b"]
    assert log.frame("embedding", PROFILE.digest, set).is_empty()
    assert log.frame("profile", PAPER.digest, set).is_empty()
    log.forget(second)
    log.forget(second)
    assert log.frame(*PLACE, set)["task"].to_list() == ["a"]


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "x"}'])
def test_a_damaged_note_is_a_failure_that_can_be_tried_again(store_uri: str, text: str) -> None:
    folder = open_folder(store_uri)
    log = FailureLog(folder)
    log.add(make_cell(), "no", "error")
    (path,) = folder.files("failures")
    folder.write_atomic(path, text.encode())
    [(*_, kind, reason, attempts)] = log.frame(*PLACE, set).rows()
    assert (kind, attempts) == ("unknown", 0)
    assert f"its note {path} is damaged: `--retry-failed`" in reason
    log.add(make_cell(), "no", "error")
    assert log.frame(*PLACE, set)["attempts"].to_list() == [1]
