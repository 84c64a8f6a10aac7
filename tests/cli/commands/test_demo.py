"""``vlmsel demo`` on fewer models and tasks than it comes with; the rest is as it is."""

import json
import shutil
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from tests.cli.conftest import PRINT_PNG, save_blank
from vlmsel.api.demo_layers import study_layers
from vlmsel.cli.commands.demo import layer_studies, run_demo
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.zoo.catalog import load_zoo

# A whole demo is an evaluation, a sweep, three rankings, silenced layers and a report.
pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def out(lab, embedded, tmp_path_factory) -> Iterator[Path]:
    """The folder of a demo that was measured before, with the small zoo and tasks."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(embedded, folder / "store")
    shutil.copy(lab.uri.removeprefix("sqlite:///"), folder / "mlflow.db")
    zoo = load_zoo(lab.zoo)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "vlmsel.api.workspace.load_zoo", lambda name: zoo if name == "demo" else load_zoo(name)
        )
        study = partial(study_layers, names=("counting", "counting-noise"), n_items=8)
        patch.setattr("vlmsel.api.demo_layers.study_layers", study)
        patch.setattr("vlmsel.demo.demo_tasks.write_demo_tasks", lambda _: lab.tasks)
        # Those that MLflow keeps; the report's are SVG.
        patch.setattr(PRINT_PNG, save_blank)
        # The tests show what one run came to.
        patch.setattr("vlmsel.cli.commands.demo.run_demo", cache(run_demo))
        yield folder


def test_the_demo_judges_and_ranks_and_measures_no_stored_cell_again(out, vlmsel):
    answer = vlmsel("demo", "--out", out, "--target", "digits-a")
    assert answer.code == 0, answer.err
    # Profiles, predictions and embeddings in one run.
    assert "72 cells are measured already, nothing to do" in answer.err
    for said in ("leave-one-out: 4 models, 6 tasks", "average-rank", "dcd-pooled", "ndcg5"):
        assert said in answer.out
    assert "ranking for digits-a by" in answer.out
    assert "true_rank" in answer.out
    page = (out / "report.html").read_text()
    assert "Which layers get in the way of a generative model" in page
    assert "Heatmap: change of accuracy by task and silenced layer of demo-vlm-scenes" in page
    for path in (out / "store", out / "mlflow.db", out / "report.html", out / "sample-images"):
        assert path.exists()
        assert str(path) in answer.out
    assert f"vlmsel select {out / 'sample-images'} --store {out / 'store'}" in answer.out


def test_the_demo_in_json_holds_ranking_truth_and_paths(out, vlmsel):
    answer = vlmsel("demo", "--out", out, "--target", "digits-a", "--json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    ranking = sorted(said["ranking"], key=lambda row: row["true_rank"])
    accuracies = [row["accuracy"] for row in ranking]
    assert accuracies == sorted(accuracies, reverse=True)
    assert {"store", "mlflow", "report", "sample_images"} <= set(said)


def test_without_transformers_one_line_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vlmsel.api.demo_layers.find_spec", lambda _: None)
    assert layer_studies(tmp_path, RunOptions()) == ()
    said = capsys.readouterr()
    assert "no heatmap of a generative model in the report: transformers is not" in said.err
    assert not list(tmp_path.iterdir())
