"""``vlmsel layers``: vectors and adaptations of a small measured store, and bad names in a line."""

import json

import polars as pl
import pytest
import yaml

from tests.execution.conftest import draw_task
from vlmsel.api.layers import TaskVectors
from vlmsel.cli.app import run
from vlmsel.cli.commands.layers import _write
from vlmsel.errors import TrackingError
from vlmsel.selection.layers.vectors import SCHEMA
from vlmsel.zoo.catalog import load_zoo


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """One vision transformer on two tasks of drawn squares and circles, knockouts measured."""
    folder = tmp_path_factory.mktemp("layers")
    for name, seed in (("a", 0), ("b", 1)):
        draw_task(folder / "images" / name, seed, n_images=12)
    tasks = [
        {"name": n, "images": str(folder / "images" / n), "classnames": ["circle", "square"]}
        for n in "ab"
    ]
    (folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": tasks}))
    zoo = folder / "zoo.yaml"
    spec = load_zoo("demo").find("demo-vit-land")
    zoo.write_text(yaml.safe_dump({"models": [spec.model_dump(exclude_none=True)]}))
    args = ["--zoo", str(zoo), "--tasks", str(folder / "tasks.yaml"), "--store"]
    kinds = ["measure", "knockout", "--set", "tower=vision", "--set", "part=block"]
    assert run([*kinds, *args, str(folder / "store")]) == 0
    return folder


def test_vectors_are_written_and_shown(lab, tmp_path, capsys):
    out = tmp_path / "out"
    args = ["layers", "vectors", "--store", str(lab / "store"), "--out", str(out), "--json"]
    assert run(args) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["task"] for row in found["vectors"]} == {"a", "b"}
    assert {row["layer"] for row in found["vectors"]} == {f"vision.{n}" for n in range(4)}
    assert all(row["delta"] == (row["gained"] - row["lost"]) / 12 for row in found["vectors"])
    assert (out / "vectors.csv").exists()
    assert (out / "heatmap-demo-vit-land@demo.svg").read_text().startswith("<?xml")
    assert run(args[:-1]) == 0
    assert "certainly better" in capsys.readouterr().out


def test_an_adaptation_has_a_run_and_a_catalog_that_can_be_measured(lab, tmp_path, capsys, own_uri):
    args = ["layers", "adapt", "--model", "demo-vit-land", "--task", "a", "--rule", "published",
            "--store", str(lab / "store"), "--tracking-uri", own_uri, "--seed", "3",
            "--zoo-out", str(tmp_path / "zoo.yaml"), "--json"]  # fmt: skip
    assert run(args) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["n_items"], found["n_candidates"], found["seed"]) == (12, 4, 3)
    assert {"base_accuracy", "chance", "majority", "cross_fit_gain", "shares"} <= found.keys()
    from mlflow.tracking import MlflowClient

    logged = MlflowClient(own_uri).get_run(found["mlflow"]["run"])
    assert logged.data.tags["kind"] == "adaptation"
    assert logged.data.params["rule"] == "published"
    assert logged.data.metrics["optimistic_gain"] == pytest.approx(found["optimistic_gain"])
    written = yaml.safe_load((tmp_path / "zoo.yaml").read_text())["models"]
    models = [entry["model"] for entry in written]
    assert models == ["demo-vit-land", *([found["variant"]] if found["variant"] else [])]


def test_adaptations_are_written_and_shown_though_none_can_be_logged(
    lab, tmp_path, capsys, monkeypatch, own_uri
):
    calls: list[str] = []

    def fail(kind: str, **more: object) -> str:
        calls.append(kind)
        raise TrackingError("the server has gone")

    monkeypatch.setattr("vlmsel.tracking.log_run_summary", fail)
    out = tmp_path / "zoo.yaml"
    args = ["layers", "adapt", "--model", "demo-vit-land", "--task", "a", "--task", "b",
            "--rule", "published", "--store", str(lab / "store"), "--zoo-out", str(out),
            "--tracking-uri", own_uri, "--json"]  # fmt: skip
    assert run(args) == 1
    told = capsys.readouterr()
    found = [(row["task"], row["mlflow"]) for row in json.loads(told.out)]
    assert found == [("a", None), ("b", None)]
    assert out.is_file()
    assert calls == ["adaptation"]
    assert "not logged in MLflow: the server has gone" in told.err


def test_an_unknown_layer_gets_one_line_that_says_how_to_name_it(lab, capsys):
    args = ["layers", "adapt", "--model", "demo-vit-land", "--task", "a", "--layer", "first"]
    assert run([*args, "--store", str(lab / "store")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "'first' names no layer: write TOWER.NUMBER" in line


def test_what_is_not_measured_says_how_to_measure_it(lab, capsys):
    args = ["layers", "vectors", "--tower", "text", "--store", str(lab / "store")]
    assert run(args) == 2
    assert "measure knockout --set tower=text --set part=block" in capsys.readouterr().err


def test_names_that_a_spreadsheet_would_run_are_guarded(tmp_path):
    row = {name: [0] for name in SCHEMA} | {"model": ["=1+1"], "pretrained": ["x"]}
    row |= {"task": ["@t"], "layer": ["vision.0"]}
    vectors = pl.DataFrame(row, schema=SCHEMA)
    _write(TaskVectors(vectors, (), vectors.clear(), ()), tmp_path)
    assert "\n'=1+1,x,'@t," in (tmp_path / "vectors.csv").read_text()
