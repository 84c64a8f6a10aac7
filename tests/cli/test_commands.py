"""The commands that measure and judge, end to end on a small laboratory and a real MLflow."""

import json
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

DATA = Path(__file__).parents[3] / "shared" / "data"


def runs(uri: str, kind: str) -> list:
    client = MlflowClient(uri)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids, f"tags.kind = '{kind}'")


@pytest.mark.parametrize("command", ["profile", "accuracy"])
def test_a_second_run_measures_nothing_and_says_so(lab, vlmsel, command):
    answer = vlmsel(command, "--store", lab.store, "--json")
    assert answer.code == 0
    assert "24 cells are measured already, nothing to do" in answer.err
    said = json.loads(answer.out)
    assert (said["measured"], said["skipped"], said["failures"]) == (0, 24, 0)


def test_dry_run_shows_the_plan_and_measures_nothing(lab, vlmsel, tmp_path):
    catalogs = ["--zoo", lab.zoo, "--tasks", lab.tasks, "--store", tmp_path / "new"]
    plan = json.loads(vlmsel("profile", *catalogs, "--dry-run", "--json").out)["plan"]
    assert [row["to_measure"] for row in plan] == [6] * 4
    assert not (tmp_path / "new").exists()


def test_evaluate_logs_a_run_a_selector(lab, vlmsel):
    answer = vlmsel("evaluate", "--store", lab.store, "--tracking-uri", lab.uri, "--json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    selectors = {row["selector"] for row in said["summary"]}
    assert {"average-rank", "dcd", "dcd-pooled", "random"} <= selectors
    logged = {run.info.run_id for run in runs(lab.uri, "leave-one-out")}
    assert set(said["mlflow"]["runs"]) <= logged
    assert len(said["mlflow"]["runs"]) == len(selectors)


def test_sweep_logs_a_run_and_prints_the_grid(lab, vlmsel):
    grid = ["--eta", "0,2", "--gamma", "0:10:3"]
    answer = vlmsel("sweep", "--store", lab.store, "--tracking-uri", lab.uri, *grid)
    assert answer.code == 0, answer.err
    assert "gamma 5.0" in answer.out
    (run,) = runs(lab.uri, "sweep")
    assert run.data.params["n_points"] == "6"


def test_refresh_measures_nothing_new_and_logs_a_run(own_lab, vlmsel):
    command = ["refresh", "--store", own_lab.store, "--tracking-uri", own_lab.uri, "--json"]
    answer = vlmsel(*command)
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    assert (said["measured"], said["skipped"]) == (0, 48)
    assert said["changes"] == [{"change": "unchanged", "pairs": 24}]
    assert said["mlflow"]["run"] in {run.info.run_id for run in runs(own_lab.uri, "refresh")}


def test_refresh_measures_what_was_lost(own_lab, vlmsel):
    lost = next((own_lab.store / "profiles").glob("*/*/digits-a@*.parquet"))
    lost.unlink()
    assert vlmsel("status", "--store", own_lab.store).code == 1
    answer = vlmsel("refresh", "--store", own_lab.store, "--tracking-uri", own_lab.uri, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["measured"] == 1
    assert vlmsel("status", "--store", own_lab.store).code == 0


def test_status_counts_by_model_task_and_cell(lab, vlmsel):
    for by, rows in (("model", 4), ("task", 6), ("cell", 24)):
        said = json.loads(vlmsel("status", "--store", lab.store, "--by", by, "--json").out)
        assert len(said["rows"]) == rows
        assert (said["measured"], said["failed"], said["missing"]) == (24, 0, 0)


def test_status_sets_a_corrupt_file_aside(own_lab, vlmsel):
    broken = next((own_lab.store / "profiles").glob("*/*/shapes-a@*.parquet"))
    broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    answer = vlmsel("status", "--store", own_lab.store, "--verify", "--json")
    assert answer.code == 1
    assert "warning: corrupt, set aside:" in answer.err
    assert json.loads(answer.out)["missing"] == 1


def test_report_ranks_a_known_task_beside_the_truth(lab, vlmsel, tmp_path):
    page = tmp_path / "page.html"
    answer = vlmsel("report", "--store", lab.store, "--target", "digits-a", "--out", page, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out) == {"report": str(page)}
    assert "Which model for digits-a?" in page.read_text()


def test_models_and_tasks_list_catalogs(lab, vlmsel):
    models = json.loads(vlmsel("models", "--zoo", lab.zoo, "--json").out)
    assert len(models) == 4
    (one,) = json.loads(vlmsel("models", "--zoo", lab.zoo, "--match", "LETTERS", "--json").out)
    assert one["model"] == "demo-resnet-letters"
    tasks = json.loads(vlmsel("tasks", "--tasks", lab.tasks, "--count", "--json").out)
    assert {row["n_images"] for row in tasks} == {16}
    assert all(row["classes"] >= 2 for row in tasks)


def test_blocks_of_an_architecture(vlmsel):
    rows = json.loads(vlmsel("models", "--blocks", "--match", "vit-b-32-256", "--json").out)
    assert [(row["model"], row["blocks"]) for row in rows] == [("ViT-B-32-256", 12)]


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no published tables in {DATA}")
def test_published_tables_are_imported_and_evaluated(vlmsel, lab, tmp_path):
    store = tmp_path / "published"
    tables = {"accuracies": "openclip_results.csv", "profiles": "published_profiles.csv"}
    for kind, name in tables.items():
        answer = vlmsel("import", kind, DATA / name, "--store", store, "--quickgelu")
        assert answer.code == 0, answer.err
        assert f"from {DATA / name} are in {store}" in answer.err
    args = ["--imported", "--selector", "dcd", "--selector", "average-rank"]
    answer = vlmsel("evaluate", "--store", store, "--tracking-uri", lab.uri, *args)
    assert answer.code == 0, answer.err
    assert "warning: left out" in answer.err
    assert "average-rank" in answer.out
