import json

from vlmsel.errors import StoreError
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.execution.work.run_log import logged_run, read_runs, runs_frame
from vlmsel.store.filesystem import open_folder
from vlmsel.store.keys import CellId
from vlmsel.store.local_folder import LocalFolder


def outcome(model="m", task="t", key="k", status="measured"):
    cell = CellId(model, "p", task, key, "s", "prediction")
    return CellOutcome(cell, status, None if status == "measured" else "why")


def test_who_measured_what(tmp_path):
    folder = open_folder(tmp_path)
    with logged_run(folder, RunOptions()) as log:
        log.note(outcome(key="1"))
        log.note(outcome(key="2", task="u"))
        log.note(outcome(key="3", status="failed"))
    (run,) = read_runs(folder)
    assert run["cells"] == {"prediction/s": {"m/p": {"t": ["1"], "u": ["2"]}}}
    assert run["vlmsel"]
    assert run["libraries"]["torch"]
    assert run["ended"]
    assert runs_frame([run]).select("measured", "failed").row(0) == (2, 1)
    assert runs_frame([run], task="u")["measured"].to_list() == [1]
    assert runs_frame([run], model="m")["measured"].to_list() == [2]
    assert runs_frame([run], model="m/p", task="t")["measured"].to_list() == [1]
    assert runs_frame([run], model="other").is_empty()


def test_a_killed_run_is_in_the_log(tmp_path):
    folder = open_folder(tmp_path)
    with logged_run(folder, RunOptions()):
        (run,) = read_runs(folder)
        assert run["ended"] is None


def test_a_damaged_log_is_left_out(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a.json").write_text("{")
    (tmp_path / "runs" / "b.json").write_text(json.dumps({"started": "x", "cells": []}))
    assert [run["run"] for run in read_runs(open_folder(tmp_path))] == ["b"]
    assert runs_frame(read_runs(open_folder(tmp_path)))["measured"].to_list() == [0]


def test_no_run_ends_because_its_log_cannot_be_written(tmp_path, monkeypatch):
    def refuse(*_):
        raise StoreError("the network is away")

    with logged_run(open_folder(tmp_path), RunOptions(), flush_s=0.0) as log:
        with monkeypatch.context() as away:
            away.setattr(LocalFolder, "write_atomic", refuse)
            log.note(outcome(key="1"))
        log.note(outcome(key="2"))
    (run,) = read_runs(open_folder(tmp_path))
    assert run["measured"] == 2
