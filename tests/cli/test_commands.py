"""The commands that measure and judge, end to end on a small laboratory and a real MLflow."""

import json
import shutil
from dataclasses import replace

import pytest
import yaml

from tests.cli.thread_counts import run_and_count
from tests.shared_data import DATA
from tests.warm_processes import WarmProcess
from vlmsel.errors import TrackingError
from vlmsel.execution.lease import hold_lease
from vlmsel.store.store import Store


def runs(uri: str, kind: str) -> list:
    from mlflow.tracking import MlflowClient

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


@pytest.mark.usefixtures("blank_figures")
def test_evaluate_logs_a_run_a_selector(lab, vlmsel):
    names = ("average-rank", "dcd", "random")
    chosen = [word for name in names for word in ("--selector", name)]
    where = ["--store", lab.store, "--tracking-uri", lab.uri]
    answer = vlmsel("evaluate", *where, *chosen, "--json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    selectors = {row["selector"] for row in said["summary"]}
    assert selectors == set(names)
    logged = {run.info.run_id for run in runs(lab.uri, "leave-one-out")}
    assert set(said["mlflow"]["runs"]) <= logged
    assert len(said["mlflow"]["runs"]) == len(selectors)


@pytest.mark.usefixtures("blank_figures")
def test_of_a_sweep_too_wide_to_read_the_best_points_are_shown(own_lab, vlmsel, own_uri):
    where = ["--store", own_lab.store, "--tracking-uri", own_uri]
    answer = vlmsel("sweep", *where, "--eta", "2", "--gamma", "0:20:11")
    assert "the best 10 of 11 points by ndcg5" in answer.out


@pytest.mark.usefixtures("blank_figures")
def test_sweep_logs_a_run_and_prints_the_grid(lab, vlmsel, own_uri):
    grid = ["--eta", "0,2", "--gamma", "0:10:3"]
    answer = vlmsel("sweep", "--store", lab.store, "--tracking-uri", own_uri, *grid)
    assert answer.code == 0, answer.err
    assert "gamma 5" in answer.out
    (run,) = runs(own_uri, "sweep")
    assert run.data.params["n_points"] == "6"


def test_refresh_measures_nothing_new_and_logs_a_run(own_lab, vlmsel):
    command = ["refresh", "--store", own_lab.store, "--tracking-uri", own_lab.uri, "--json"]
    answer = vlmsel(*command)
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    assert (said["measured"], said["skipped"]) == (0, 48)
    assert said["changes"] == [
        {"kind": kind, "change": "unchanged", "pairs": 24} for kind in ("prediction", "profile")
    ]
    assert said["mlflow"]["run"] in {run.info.run_id for run in runs(own_lab.uri, "refresh")}


def test_a_refresh_says_what_it_did_though_it_cannot_be_logged(own_lab, vlmsel, monkeypatch):
    def fail(*args: object, **more: object) -> str:
        raise TrackingError("the server has gone")

    monkeypatch.setattr("vlmsel.tracking.log_run_summary", fail)
    answer = vlmsel("refresh", "--store", own_lab.store, "--tracking-uri", own_lab.uri, "--json")
    assert answer.code == 1
    said = json.loads(answer.out)
    assert (said["skipped"], said["mlflow"]["run"]) == (48, None)
    assert "not logged in MLflow: the server has gone" in answer.err


@pytest.mark.parametrize("kind", ["profile", "prediction"])
def test_refresh_measures_what_was_lost(own_lab, vlmsel, kind):
    lost = next((own_lab.store / kind).glob("*/*/digits-a@*.parquet"))
    lost.unlink()
    assert vlmsel("status", "--store", own_lab.store).code == 1
    answer = vlmsel("refresh", "--store", own_lab.store, "--tracking-uri", own_lab.uri, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["measured"] == 1
    assert vlmsel("status", "--store", own_lab.store).code == 0


def test_two_refreshes_at_once_do_the_work_once(own_lab, vlmsel, tmp_path):
    chosen = (own_lab.store / "workspace.json").read_text()
    tasks = shutil.copy(own_lab.tasks, tmp_path / "others.yaml")
    other = ["--tasks", tasks, "--n-images", "7"]
    with hold_lease(str(own_lab.store), "refresh") as lease:
        answer = vlmsel("refresh", "--store", own_lab.store, "--tracking-uri", own_lab.uri, *other)
    assert answer.code == 2
    # Nor does the refused one choose what the next one works on.
    assert (own_lab.store / "workspace.json").read_text() == chosen
    assert f"another refresh works on {own_lab.store} since" in answer.error
    assert lease.owner in answer.error
    again = vlmsel("refresh", "--store", own_lab.store, "--tracking-uri", own_lab.uri)
    assert again.code == 0


def test_status_counts_by_model_task_and_cell(lab, vlmsel):
    for by, rows in (("model", 4), ("task", 6), ("cell", 24)):
        for kinds in (["profile"], ["prediction"], ["profile", "prediction"]):
            asked = [f"--kind={kind}" for kind in kinds]
            command = ["status", "--store", lab.store, "--by", by, *asked, "--json"]
            said = json.loads(vlmsel(*command).out)
            assert {row["kind"] for row in said["rows"]} == set(kinds)
            assert len(said["rows"]) == len(kinds) * rows
            counts = (said["measured"], said["failed"], said["missing"])
            assert counts == (24 * len(kinds), 0, 0)
    # Without --kind, every kind that the store was asked for.
    assert said == json.loads(vlmsel("status", "--store", lab.store, "--by", by, "--json").out)


def test_status_of_a_kind_that_nobody_asked_for(lab, vlmsel):
    answer = vlmsel("status", "--store", lab.store, "--kind", "embedding")
    assert answer.code == 2
    assert "--kind embedding: the store holds profile, prediction" in answer.error


@pytest.mark.parametrize("kind", ["profile", "prediction"])
def test_status_sets_a_corrupt_file_aside(own_lab, vlmsel, kind):
    broken = next((own_lab.store / kind).glob("*/*/shapes-a@*.parquet"))
    broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    answer = vlmsel("status", "--store", own_lab.store, "--verify", "--json")
    assert answer.code == 1
    assert "warning: corrupt, set aside:" in answer.err
    assert json.loads(answer.out)["missing"] == 1


@pytest.mark.usefixtures("blank_figures")
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
@pytest.mark.usefixtures("blank_figures")
def test_published_tables_are_imported_and_evaluated(vlmsel, lab, tmp_path):
    store = tmp_path / "published"
    tables = {"accuracies": "openclip_results.csv", "profiles": "published_profiles.csv"}
    for kind, name in tables.items():
        answer = vlmsel("import", kind, DATA / name, "--store", store, "--quickgelu")
        assert answer.code == 0, answer.err
        assert f"from {DATA / name}" in answer.err
        assert f"are in {store};" in answer.err
    args = ["--imported", "--selector", "dcd", "--selector", "average-rank"]
    answer = vlmsel("evaluate", "--store", store, "--tracking-uri", lab.uri, *args)
    assert answer.code == 0, answer.err
    assert "warning: left out" in answer.err
    assert "average-rank" in answer.out


CATALOGS = ("--n-images", "2", "--set", "n_steps=2", "--set", "rule=left", "--set", "path=uniform")


def catalogs(lab, store):
    return ["--zoo", lab.zoo, "--tasks", lab.tasks, "--store", store, *CATALOGS]


def test_dry_run_says_what_it_takes_and_where(lab, vlmsel, tmp_path):
    command = ["profile", *catalogs(lab, tmp_path / "new"), "--dry-run"]
    said = json.loads(vlmsel(*command, "--json").out)
    assert (said["workers"], said["estimated_gpu_s"]) == (1, 0.0)
    assert said["estimated_s"] > 0
    assert said["estimated_cpu_s"] == pytest.approx(said["estimated_s"])
    two = json.loads(vlmsel(*command, "--json", "--threads", "2").out)
    assert two["estimated_cpu_s"] == pytest.approx(2 * said["estimated_cpu_s"])
    assert {row["cpus"] for row in two["plan"]} == {2.0}
    answer = vlmsel(*command)
    assert "24 cells to measure, 0 measured, 0 failed before" in answer.err
    assert "of CPU time; at best" in answer.err


def test_dry_run_of_a_refresh_shows_both_kinds_and_leaves_no_trace(lab, vlmsel, tmp_path):
    command = ["refresh", *catalogs(lab, tmp_path / "new"), "--dry-run", "--json", "--price", "3"]
    said = json.loads(vlmsel(*command, "--tracking-uri", "http://127.0.0.1:9").out)
    # Six profiles and six predictions a model.
    assert [row["to_measure"] for row in said["plan"]] == [12] * 4
    assert said["money"] == pytest.approx(3 * (said["gpu_hours"] or said["cpu_hours"]))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "command", ["measure profile", "profile", "accuracy", "refresh", "select images"]
)
@pytest.mark.parametrize("option", ["--address=127.0.0.1:9", "--n-gpus=1", "--workers=1"])
def test_options_of_the_cluster_are_refused_here(lab, vlmsel, command, option):
    answer = vlmsel(*command.split(), "--store", lab.store, option)
    assert answer.code == 2
    assert "are for Ray: add --executor ray" in answer.error


def test_threads_reach_torch_and_a_line_a_cell_is_logged_on_request(lab, tmp_path):
    zoo = tmp_path / "zoo.yaml"
    zoo.write_text(yaml.safe_dump({"models": yaml.safe_load(lab.zoo.read_text())["models"][:1]}))
    quiet, loud = (
        ["profile", *map(str, catalogs(replace(lab, zoo=zoo), tmp_path / name))]
        for name in ("quiet", "loud")
    )
    process = WarmProcess(run_and_count, quiet, [*loud, "--threads", "2", "--log-level", "info"])
    out, err = process.communicate()
    assert process.returncode == 0, err
    said = out.split()
    half = len(said) // 2
    assert said == ["threads", "1"] * (half // 2) + ["threads", "2"] * (half // 2)
    before, after = err.split("--\n")
    assert "{" not in before
    lines = [json.loads(x) for x in after.splitlines() if x.startswith("{")]
    assert [line["message"] for line in lines] == ["measured"] * 6
    keys = {
        cell.key
        for digest in Store(tmp_path / "loud").settings("profile")
        for cell in Store(tmp_path / "loud").cells("profile", digest)
    }
    assert all(any(key in line["cell"] for key in keys) for line in lines)


def test_on_ray_a_demand_is_checked_before_anything_is_measured(lab, vlmsel, tmp_path, monkeypatch):
    # Other tests of this worker may have left it connected to a cluster of theirs.
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    command = ["profile", *catalogs(lab, tmp_path / "new"), "--executor", "ray"]
    answer = vlmsel(*command, "--address", "127.0.0.1:9", "--dry-run")
    assert answer.code == 2
    assert "no Ray cluster answers at 127.0.0.1:9" in answer.error


def test_a_rerun_tells_the_same_truth_about_a_bad_image(lab, vlmsel, tmp_path):
    good = (lab.images / "000.png").read_bytes()
    for number in range(4):
        folder = tmp_path / "drawn" / ("hi" if number % 2 else "lo")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(b"broken" if number == 3 else good + bytes([number]))
    tasks = tmp_path / "tasks.yaml"
    tasks.write_text(f"tasks: [{{name: t, images: {tmp_path}/drawn, classnames: [lo, hi]}}]")
    store = tmp_path / "store"
    models = yaml.safe_load(lab.zoo.read_text())["models"][:2]
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"models": models}))
    where = ["--zoo", tmp_path / "zoo.yaml", "--tasks", tasks, "--store", store]
    for command in (["profile", *where, "--set", "n_steps=2"], ["accuracy", "--store", store]):
        first = vlmsel(*command, "--json")
        again = vlmsel(*command, "--json")
        assert (first.code, again.code) == (1, 1)
        said, told = json.loads(first.out), json.loads(again.out)
        assert (said["measured"], told["measured"]) == (2, 0)
        assert said["failures"] == told["failures"] == 2
        first_failed, before = (
            sorted(part, key=str) for part in (said["failed"], told["failed_before"])
        )
        assert first_failed == before
        assert {f["image_id"] for f in said["failed"]} == {"hi/3.png"}
        kind = "prediction" if command[0] == "accuracy" else "profile"
        assert f"warning: failed before: {kind} of demo-" in again.err
        assert vlmsel(*command, "--allow-failures", "2").code == 0
        assert vlmsel(*command, "--allow-failures", "1").code == 1
    status = ["status", "--store", store, "--by", "task", "--json"]
    for kinds in (["profile"], ["prediction"], ["profile", "prediction"]):
        asked = [f"--kind={kind}" for kind in kinds]
        answer = vlmsel(*status, *asked)
        counts, n = json.loads(answer.out), 2 * len(kinds)
        assert answer.code == 1
        assert (counts["measured"], counts["failed"], counts["failed_images"]) == (n, 0, n)
        assert [row["failed_images"] for row in counts["rows"]] == [2] * len(kinds)
        assert vlmsel(*status, *asked, "--allow-failures", n).code == 0
        assert vlmsel(*status, *asked, "--allow-failures", n - 1).code == 1

    # The same bytes fail again, and what was measured stays.
    before = sorted(path.name for path in store.glob("profile/*/*/*.parquet"))
    retried = vlmsel("profile", "--store", store, "--retry-failed", "--json")
    assert (retried.code, json.loads(retried.out)["failures"]) == (1, 2)
    assert sorted(path.name for path in store.glob("profile/*/*/*.parquet")) == before


def test_images_with_inexact_profiles_are_named_once_a_run(few, vlmsel, tmp_path):
    few_points = ["--set", "n_steps=2", "--set", "rule=trapezoid", "--set", "path=uniform"]
    where = [*few, "--store", tmp_path / "store"]
    answer = vlmsel("profile", *where, "--n-images", 1, *few_points, "--json")
    assert answer.code == 0
    inexact = json.loads(answer.out)["inexact"]
    first = inexact[0]
    assert first["reason"].startswith("completeness error 0.")
    assert (
        f"inexact: profile of {first['model']}/{first['pretrained']} on {first['task']}"
        in answer.err
    )
    assert f"{len(inexact)} image(s) may have inexact profiles" in answer.err


@pytest.mark.parametrize(("command", "kind"), [("profile", "profile"), ("accuracy", "prediction")])
def test_a_dry_run_leaves_a_corrupt_file_where_it_is(own_lab, vlmsel, command, kind):
    victim = next((own_lab.store / kind).rglob("*@*/*.parquet"))
    victim.write_bytes(b"rotten")
    assert vlmsel(command, "--store", own_lab.store, "--dry-run").code == 0
    assert victim.read_bytes() == b"rotten"


def test_tasks_without_class_names_have_no_predictions_to_miss(own_lab, vlmsel, tmp_path):
    specs = yaml.safe_load(own_lab.tasks.read_text())["tasks"]
    for key in ("classnames", "templates", "prompts"):
        specs[0].pop(key, None)
    mixed = tmp_path / "mixed.yaml"
    mixed.write_text(yaml.safe_dump({"tasks": specs}))
    where = ["--store", own_lab.store, "--tasks", mixed]
    assert vlmsel("status", *where).code == 0
    assert json.loads(vlmsel("refresh", "--dry-run", "--json", *where).out)["faults"] == []
