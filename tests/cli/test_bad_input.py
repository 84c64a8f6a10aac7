"""Errors of the user in one line, with what to do; see test_select.py for images."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.warm_processes import WarmProcess, run_command
from vlmsel.store.store import Store

# Processes that import torch, or threads that measure: a busy machine needs longer.
pytestmark = pytest.mark.timeout(180)
COMMAND = Path(sys.executable).parent / "vlmsel"
NO_SERVER = "http://127.0.0.1:9"


def test_an_unknown_model_suggests_the_nearest(lab, vlmsel, tmp_path):
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text("models: [{model: ViT-B-33, pretrained: openai}]")
    answer = vlmsel("profile", "--zoo", zoo, "--tasks", lab.tasks, "--store", tmp_path / "store")
    assert answer.code == 2
    assert "unknown architecture 'ViT-B-33'; did you mean ViT-B-32" in answer.error


def test_a_misspelt_key_suggests_the_nearest(lab, vlmsel, tmp_path):
    catalog = tmp_path / "catalog.yaml"
    store = ["--store", tmp_path / "store"]
    catalog.write_text("models: [{model: RN50, pretraned: openai}]")
    answer = vlmsel("profile", "--zoo", catalog, "--tasks", lab.tasks, *store)
    assert answer.code == 2
    assert "unknown key 'pretraned'; did you mean pretrained?" in answer.error
    catalog.write_text("tasks: [{name: x, imges: here}]")
    answer = vlmsel("profile", "--zoo", lab.zoo, "--tasks", catalog, *store)
    assert answer.code == 2
    assert "unknown key 'imges'; did you mean images?" in answer.error


def test_a_checkpoint_that_does_not_fit_is_named_and_the_rest_goes_on(lab, vlmsel, tmp_path):
    models, tasks = (
        yaml.safe_load(path.read_text())[path.stem.replace("zoo", "models")][:2]
        for path in (lab.zoo, lab.tasks)
    )
    file = next(Path(models[0]["weights"]).glob("*.safetensors"))
    models.append({"model": "ViT-B-32", "pretrained": "wrong", "weights": str(file)})
    catalogs = ["--store", tmp_path / "store"]
    for option, entries in (("zoo", {"models": models}), ("tasks", {"tasks": tasks})):
        path = tmp_path / f"{option}.yaml"
        path.write_text(yaml.safe_dump(entries))
        catalogs += [f"--{option}", path]
    quick = ["--set", "attribution=gradient"]
    answer = vlmsel("profile", *catalogs, "--n-images", "2", *quick, "--json")
    assert answer.code == 1
    said = json.loads(answer.out)
    assert said["measured"] == 4
    about = {row["model"]: row["reason"] for row in said["failed"] + said["left_out"]}
    assert list(about) == ["ViT-B-32"]
    assert "fit" in about["ViT-B-32"]
    assert "ViT-B-32/wrong" in answer.err


def test_accuracy_of_a_task_without_class_names(lab, vlmsel, tmp_path):
    tasks = tmp_path / "tasks.yaml"
    tasks.write_text(f"tasks: [{{name: mine, images: {lab.images}}}]")
    store = tmp_path / "store"
    answer = vlmsel("accuracy", "--zoo", lab.zoo, "--tasks", tasks, "--store", store)
    assert answer.code == 2
    assert answer.error.startswith(
        "task 'mine' has no class names, which prediction needs: add `classnames`"
    )


@pytest.mark.parametrize("command", [["evaluate"], ["sweep"], ["refresh"]])
def test_a_tracking_server_out_of_reach_is_found_before_the_work(lab, vlmsel, command):
    answer = vlmsel(*command, "--store", lab.store, "--tracking-uri", NO_SERVER, "--json")
    assert answer.code == 2
    assert f"the tracking server {NO_SERVER} cannot be reached" in answer.error
    assert answer.err.count("\n") == 1, "nothing else was begun"
    assert answer.out == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["sweep", "--eta", "many"], "--eta 'many': give numbers with commas"),
        (["sweep", "--gamma", "0:1"], "--gamma '0:1': give numbers with commas"),
        (["sweep", "--gamma", "0:1:1000000000"], "COUNT from 2 to 1000"),
        (["sweep", "--eta", "nan"], "finite eta"),
        (["sweep", "--gamma", "-1"], "gamma must be at least 0"),
        (["sweep", "--metric", "ndgc"], "--metric ndgc: there is ndcg5_paper"),
        (["evaluate", "--selector", "dcdd"], "no selector 'dcdd'; did you mean dcd"),
        (["evaluate", "--workers", "2"], "--workers says how probes are computed"),
        (["evaluate", "--draws", "5"], "--draws says how probes are computed"),
        (["evaluate", "--imported", "--use", "probe", "--threads", "2"], "--threads says how"),
        (["evaluate", "--imported", "--use", "probe", "--zoo", "demo"], "--zoo has no meaning"),
        (["study", "prompts", "--imported"], "--imported has no effect on study prompts"),
        (["report", "--target", "digit-a"], "task 'digit-a' has no profiles"),
        (["status", "--by", "colour"], "--by colour: there is model, task, cell"),
        (["profile", "--set", "nsteps=3"], "no attribution setting 'nsteps'; did you mean n_steps"),
        (["profile", "--set", "n_steps"], "write it as KEY=VALUE"),
        (["profile", "--workers", "2"], "add --executor ray"),
        (["profile", "--price", "2"], "--price is for the forecast"),
    ],
)
def test_options_that_make_no_sense(lab, vlmsel, args, said):
    answer = vlmsel(*args, "--store", lab.store)
    assert answer.code == 2
    assert said in answer.error


def test_the_demo_has_named_targets(vlmsel, tmp_path):
    answer = vlmsel("demo", "--target", "leters-a", "--out", tmp_path / "out")
    assert answer.code == 2
    assert "no demo task 'leters-a'; did you mean letters-a" in answer.error
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("blank_figures")
def test_places_that_cannot_be_written(lab, vlmsel, tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    answer = vlmsel("demo", "--out", file / "out")
    assert answer.code == 2
    assert str(file) in answer.error
    answer = vlmsel("report", "--store", lab.store, "--out", file / "report.html")
    assert answer.code == 2
    assert f"{file}/report.html cannot be written" in answer.error
    answer = vlmsel("profile", "--zoo", lab.zoo, "--tasks", lab.tasks, "--store", file)
    assert answer.code == 2
    assert f"{file}" in answer.error


@pytest.mark.parametrize(
    "command", ["select here", "measure profile", "profile", "accuracy", "refresh", "status"]
)
def test_a_store_that_does_not_exist(vlmsel, tmp_path, command):
    answer = vlmsel(*command.split(), "--store", tmp_path / "none")
    assert answer.code == 2
    assert answer.error.startswith(f"store {tmp_path}/none holds no run yet: give --zoo and")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", ["size", "compact", "runs"])
def test_no_upkeep_of_a_store_that_does_not_exist(vlmsel, tmp_path, command):
    answer = vlmsel("store", command, "--store", tmp_path / "none")
    assert answer.code == 2
    assert answer.error.startswith(f"there is no store at {tmp_path}/none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", ["evaluate", "sweep", "report"])
def test_nothing_to_judge(vlmsel, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = vlmsel(command, "--store", tmp_path / "none")
    assert answer.code == 2
    assert f"store {tmp_path}/none holds no imported accuracies: `vlmsel import" in answer.error


@pytest.mark.parametrize("text", ["{", "[1]", '{"zoo": "demo"}', "\xff"])
def test_a_damaged_memory_says_how_to_mend_it(own_lab, vlmsel, text):
    (own_lab.store / "workspace.json").write_bytes(text.encode("latin-1"))
    answer = vlmsel("status", "--store", own_lab.store)
    assert answer.code == 2
    assert f"{own_lab.store}/workspace.json" in answer.error
    assert "delete this one file" in answer.error


def test_a_catalog_that_is_gone_is_named(own_lab, vlmsel):
    memory = own_lab.store / "workspace.json"
    memory.write_text(memory.read_text().replace(str(own_lab.tasks), "/gone/tasks.yaml"))
    answer = vlmsel("status", "--store", own_lab.store)
    assert answer.code == 2
    assert "tasks catalog /gone/tasks.yaml, which does not exist any more" in answer.error
    assert answer.error.endswith("give --tasks FILE")


def test_nothing_but_ours_reaches_the_terminal(own_lab, tmp_path):
    judged = ["--selector", "dcd", "--selector", "average-rank", "--tracking-uri", own_lab.uri]
    commands = [
        ["select", str(own_lab.images), "--store", str(own_lab.store)],
        ["evaluate", "--store", str(own_lab.store), *judged],
    ]
    for words in commands:
        # Pytest's own handling of warnings and logs is out of the way; that imports say nothing is
        # tested where they are.
        process = WarmProcess(run_command, words)
        out, err = process.communicate()
        assert process.returncode == 0, err
        for noise in ("Warning", "INFO", "alembic", "Traceback", "open_clip", "site-packages"):
            assert noise not in err + out, err


def test_a_reader_that_goes_away_is_no_failure(lab):
    done = subprocess.run(
        f"{COMMAND} models --zoo {lab.zoo} --json | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_keeps_what_was_measured(lab, tmp_path):
    store = tmp_path / "store"
    # Steps enough for it to be still at work when the signal comes.
    slow = ["--set", "n_steps=50", "--n-images", "4"]
    catalogs = ["--zoo", str(lab.zoo), "--tasks", str(lab.tasks), "--store", str(store)]
    process = WarmProcess(run_command, ["profile", *catalogs, *slow])
    while not list(store.glob("profile/*/*/*.parquet")) and process.returncode is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopped: what was measured is in the store" in err
    assert "Traceback" not in err
    (digest,) = Store(store).settings("profile")
    assert Store(store).verify("profile", digest) == []
    assert 0 < len(Store(store).cells("profile", digest)) < 24
