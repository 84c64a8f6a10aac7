"""Against a real MLflow database; a new one costs seconds, so the module shares one."""

import json
import socket
import sqlite3
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mlflow.tracking import MlflowClient

from vlmsel.errors import TrackingError
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.evaluation.metrics import METRICS
from vlmsel.report.figures import study_curves
from vlmsel.tracking import (
    absolute_tracking_uri,
    check_tracking_uri,
    default_tracking_uri,
    log_leave_one_out,
    log_run_summary,
    log_sweep,
)

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")

MODELS = [("vit", "a"), ("rn", "b"), ("mixer", "c")]
TASKS = ["pets", "cars/2013", "..", "naïve task"]


def synthetic_loo():
    """Selector `good` is always right, `bad` never; values are chosen, not computed."""
    metrics, rankings = [], []
    for target in TASKS:
        for selector, value in (("good", 1.0), ("bad", 0.25)):
            metrics += [(selector, target, 3, 3, metric, value) for metric in METRICS]
            rankings += [
                (selector, target, i + 1, m, p, float(i), 0.9 - 0.1 * i)
                for i, (m, p) in enumerate(MODELS)
            ]
    weights = [
        ("good", t, m, p, s, 1 / 3) for t in TASKS for m, p in MODELS for s in TASKS if s != t
    ]
    names = ["selector", "target"]
    return LeaveOneOut(
        pl.DataFrame(
            metrics, orient="row", schema=[*names, "n_models", "n_sources", "metric", "value"]
        ),
        pl.DataFrame(
            rankings,
            orient="row",
            schema=[*names, "rank", "model", "pretrained", "score", "accuracy"],
        ),
        pl.LazyFrame(
            weights, orient="row", schema=[*names, "model", "pretrained", "source", "weight"]
        ),
        pl.DataFrame({"kind": ["task"], "name": ["lonely"], "reason": ["one model only"]}),
    )


def synthetic_accuracies():
    rows = [(m, p, t, 0.5) for m, p in MODELS for t in TASKS]
    return pl.DataFrame(rows, orient="row", schema=["model", "pretrained", "task", "acc1"])


def synthetic_dcd():
    rows = [(m, p, s, t, 0.5) for m, p in MODELS for s in TASKS for t in TASKS if s != t]
    return pl.DataFrame(
        rows, orient="row", schema=["model", "pretrained", "source", "target", "dcd"]
    )


def synthetic_profiles():
    rows = [
        (m, p, t, f"{t}/{i}", b, 1e-3 * (b + 1))
        for m, p in MODELS
        for t in TASKS
        for i in (0, 1)
        for b in (0, 1)
    ]
    return pl.DataFrame(
        rows,
        orient="row",
        schema=["model", "pretrained", "task", "image_id", "block", "conductance"],
    )


@pytest.fixture(scope="session")
def first_run(tmp_path_factory):
    """The shared database, made by a program of its own: its URI, and what that printed."""
    uri = default_tracking_uri(tmp_path_factory.mktemp("mlflow") / "with space")
    code = f"import vlmsel.tracking as t; t.log_run_summary('first', tracking_uri={uri!r})"
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=elsewhere
    )
    return uri, done, elsewhere


@pytest.fixture(scope="session")
def database(first_run):
    return first_run[0]


@pytest.fixture
def experiment():
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def find(database, experiment):
    """Search this test's experiment: a filter in, runs out."""

    def search(query):
        client = MlflowClient(database)
        known = client.get_experiment_by_name(experiment)
        return client.search_runs([known.experiment_id], query)

    return search


def artifacts(database, run_id):
    client = MlflowClient(database)
    return {
        f.path for d in client.list_artifacts(run_id) for f in client.list_artifacts(run_id, d.path)
    }


def logged(database, experiment, **more):
    return log_leave_one_out(
        synthetic_loo(),
        tracking_uri=database,
        experiment=experiment,
        accuracies=synthetic_accuracies(),
        **more,
    )


def test_one_run_per_selector_of_one_group(database, experiment, find):
    ids = logged(database, experiment, tags={"zoo": "demo"})
    runs = find("tags.kind = 'leave-one-out' and tags.zoo = 'demo'")
    assert {r.info.run_id for r in runs} == set(ids)
    assert {r.data.tags["selector"] for r in runs} == {"good", "bad"}
    assert len({r.data.tags["group"] for r in runs}) == 1
    assert {r.info.status for r in runs} == {"FINISHED"}


def test_runs_of_a_store_nest_under_one_with_the_means(database, experiment, find):
    ids = logged(database, experiment, tags={"store": "my/store"})
    (parent,) = find("tags.kind = 'evaluation'")
    assert parent.info.run_name == "my/store"
    assert parent.data.tags["vlmsel_version"]
    assert parent.data.tags["mlflow.source.name"] == "vlmsel"
    children = find(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {run.info.run_id for run in children} == set(ids)
    for run in children:
        name = f"ndcg5.{run.data.tags['selector']}"
        assert parent.data.metrics[name] == run.data.metrics["ndcg5"]


def test_runs_are_found_by_metric(database, experiment, find):
    logged(database, experiment)
    found = find("tags.kind = 'leave-one-out' and metrics.ndcg5 > 0.9")
    assert [r.data.tags["selector"] for r in found] == ["good"]
    assert found[0].data.metrics["ndcg5.low"] == 1.0


def test_every_metric_is_there_by_target(database, experiment, find):
    logged(database, experiment)
    metrics = find("tags.selector = 'bad'")[0].data.metrics
    for name in METRICS:
        by_target = {k: v for k, v in metrics.items() if k.startswith(f"{name}/target/")}
        assert len(by_target) == len(TASKS)
        assert set(by_target.values()) == {0.25}
    assert find("metrics.`tau/target/pets` > 0.9")[0].data.tags["selector"] == "good"


def test_params_say_how_it_was_made(database, experiment, find):
    logged(
        database,
        experiment,
        profiles=synthetic_profiles(),
        params={"settings": "abc", "good.eta": 2.0, "bad.eta": 7.0},
    )
    params = find("params.selector = 'good'")[0].data.params
    assert params["eta"] == "2.0"
    assert params["settings"] == "abc"
    assert (params["n_models"], params["n_tasks"], params["n_targets"]) == ("3", "4", "4")
    assert params["n_images"] == str(2 * len(TASKS))


def test_tables_figures_and_data_set(database, experiment):
    ids = logged(database, experiment, profiles=synthetic_profiles(), dcd=synthetic_dcd())
    first, second = (artifacts(database, run_id) for run_id in ids)
    for name in ("metrics", "rankings", "summary"):
        assert {f"tables/{name}.parquet", f"tables/{name}.csv"} <= first & second
    assert {"figures/dcd.png", "figures/profiles.png"} <= first & second
    assert {"tables/dcd.parquet", "tables/accuracies.parquet", "tables/left_out.csv"} <= first
    client = MlflowClient(database)
    assert client.get_run(ids[1]).data.tags["shared_tables"] == ids[0]
    data = client.get_run(ids[0]).inputs.dataset_inputs[0].dataset
    assert json.loads(data.profile)["num_rows"] == len(MODELS) * len(TASKS)


def test_a_logged_table_reads_back(database, experiment, tmp_path):
    ids = logged(database, experiment)
    path = MlflowClient(database).download_artifacts(
        ids[1], "tables/rankings.parquet", str(tmp_path)
    )
    expected = synthetic_loo().rankings.filter(pl.col("selector") == "good")
    assert pl.read_parquet(path).equals(expected)


def test_logging_prints_nothing_and_stays_in_its_folder(first_run):
    _, done, elsewhere = first_run
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(elsewhere.iterdir()) == []


def test_artifacts_lie_beside_the_database(database, experiment):
    ids = logged(database, experiment)
    place = MlflowClient(database).get_run(ids[0]).info.artifact_uri
    assert place.startswith("file:///")
    assert "/with%20space/mlartifacts/" in place


def synthetic_sweep():
    """ndcg5 peaks at (2, 5), regret1 is lowest at (1, 9)."""
    rows = []
    for eta in (1.0, 2.0, 3.0):
        for gamma in (1.0, 5.0, 9.0):
            for target, shift in (("x", -0.01), ("y", 0.01)):
                high = 0.9 - 0.1 * abs(eta - 2) - 0.02 * abs(gamma - 5)
                low = 0.1 * abs(eta - 1) + 0.02 * abs(gamma - 9)
                rows.append((eta, gamma, "ndcg5", target, high + shift))
                rows.append((eta, gamma, "regret1", target, low + shift))
    return pl.DataFrame(rows, orient="row", schema=["eta", "gamma", "metric", "target", "value"])


def test_a_sweep_holds_its_best_points_by_direction(database, experiment, find):
    run_id = log_sweep(synthetic_sweep(), tracking_uri=database, experiment=experiment)
    (run,) = find("tags.kind = 'sweep' and metrics.`best.ndcg5` > 0.5")
    got = run.data.metrics
    assert run.info.run_id == run_id
    assert (got["best.ndcg5.eta"], got["best.ndcg5.gamma"]) == (2.0, 5.0)
    assert (got["best.regret1.eta"], got["best.regret1.gamma"]) == (1.0, 9.0)
    assert got["best.ndcg5"] == pytest.approx(0.9)


def test_every_point_of_a_sweep_is_a_step(database, experiment):
    run_id = log_sweep(synthetic_sweep(), tracking_uri=database, experiment=experiment)
    client = MlflowClient(database)
    series = {
        n: {m.step: m.value for m in client.get_metric_history(run_id, f"point.{n}")}
        for n in ("eta", "gamma", "ndcg5")
    }
    points = {(series["eta"][i], series["gamma"][i]): series["ndcg5"][i] for i in series["eta"]}
    assert len(points) == 9
    assert points[3.0, 1.0] == pytest.approx(0.9 - 0.1 - 0.08)


def test_good_points_are_found_by_metric(database, experiment, find):
    run_id = log_sweep(
        synthetic_sweep(), tracking_uri=database, experiment=experiment, params={"eps": 1e-8}
    )
    children = find("tags.kind = 'sweep-point'")
    (best,) = find("tags.kind = 'sweep-point' and metrics.ndcg5 > 0.89")
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {run_id}
    assert 3 <= len(children) <= 6
    assert (best.data.params["eta"], best.data.params["gamma"]) == ("2.0", "5.0")
    assert best.data.params["eps"] == "1e-08"
    assert "regret1" in best.data.metrics


def test_a_sweep_has_tables_heatmaps_and_data_set(database, experiment):
    run_id = log_sweep(
        synthetic_sweep(),
        tracking_uri=database,
        experiment=experiment,
        accuracies=synthetic_accuracies(),
    )
    wanted = {
        "tables/sweep.parquet",
        "tables/points.csv",
        "figures/sweep_ndcg5.png",
        "figures/sweep_regret1.png",
    }
    assert wanted <= artifacts(database, run_id)
    assert MlflowClient(database).get_run(run_id).inputs.dataset_inputs


def test_more_points_than_one_batch(database, experiment):
    grid = pl.DataFrame(
        {"eta": np.repeat(np.arange(20.0), 20), "gamma": np.tile(np.arange(20.0), 20)}
    )
    frame = pl.concat(
        [grid.with_columns(metric=pl.lit(m), value=pl.col("eta") / 20) for m in METRICS]
    )
    run_id = log_sweep(frame, tracking_uri=database, experiment=experiment)
    client = MlflowClient(database)
    for name in METRICS:
        assert len(client.get_metric_history(run_id, f"point.{name}")) == 400


def test_an_empty_sweep_is_refused(database):
    with pytest.raises(TrackingError, match="no point"):
        log_sweep(synthetic_sweep().clear(), tracking_uri=database)


def test_a_refresh_is_a_run_of_its_kind(database, experiment, find):
    table = pl.DataFrame({"x": [1, 2], "y": [1.0, 2.0], "z": ["a", "a"]})
    figure = study_curves(table, x="x", y="y", by="z")
    run_id = log_run_summary(
        "refresh",
        tracking_uri=database,
        experiment=experiment,
        params={"store": "demo"},
        metrics={"measured": 3, "failed": 0, "unknown": None, "undefined": float("nan")},
        tables={"summary": table},
        figures={"steps": figure},
    )
    (run,) = find("tags.kind = 'refresh' and metrics.measured = 3")
    assert run.info.run_id == run_id
    assert run.data.metrics == {"measured": 3.0, "failed": 0.0}
    assert {"tables/summary.csv", "figures/steps.png"} <= artifacts(database, run_id)


def test_credentials_are_never_logged(database, experiment, find, tmp_path_factory):
    log_run_summary(
        "refresh",
        tracking_uri=database,
        experiment=experiment,
        params={
            "store": "s3://key:hunter2@bucket/x",
            "url": "https://h/x?X-Amz-Signature=hunter2&a=1",
        },
        tags={"from": "https://me:hunter2@host"},
    )
    (run,) = find("")
    text = str(run.to_dictionary())
    assert "hunter2" not in text
    assert run.data.params["store"] == "s3://***@bucket/x"
    assert run.data.params["url"] == "https://h/x?X-Amz-Signature=***&a=1"


def test_a_run_that_breaks_is_marked_failed(database, experiment, find):
    broken = {"x": pl.DataFrame({"o": [object()]}, schema={"o": pl.Object})}
    with pytest.raises(pl.exceptions.PolarsError):
        log_run_summary("study", tracking_uri=database, experiment=experiment, tables=broken)
    assert [r.info.status for r in find("tags.kind = 'study'")] == ["FAILED"]


def test_what_mlflow_refuses_is_one_line(database):
    with pytest.raises(TrackingError, match="nothing more was logged") as caught:
        log_run_summary("study", tracking_uri=database, experiment="x" * 600)
    assert "\n" not in str(caught.value)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.usefixtures("no_proxy")
@pytest.mark.parametrize("scheme", ["http", "postgresql", "mysql+pymysql"])
def test_a_server_that_is_not_there(scheme):
    uri = f"{scheme}://me:hunter2@127.0.0.1:{free_port()}/db"
    with pytest.raises(TrackingError, match="cannot be reached") as caught:
        check_tracking_uri(uri)
    assert "hunter2" not in str(caught.value)


@pytest.mark.usefixtures("no_proxy")
def test_a_server_that_never_answers_is_given_up():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(TrackingError, match="cannot be reached"):
            check_tracking_uri(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)


@pytest.fixture
def server():
    """A web server that answers every GET with the status and body it is given."""

    class Handler(BaseHTTPRequestHandler):
        answer = (200, "application/json", b"{}")

        def do_GET(self):
            status, kind, body = self.answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield Handler, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.mark.usefixtures("no_proxy")
@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, "text/plain", "MLFLOW_TRACKING_TOKEN"),
        (403, "application/json", "MLFLOW_TRACKING_TOKEN"),
        (404, "text/html", "not as an MLflow server"),
        (200, "text/html", "not as an MLflow server"),
        (503, "text/html", "not as an MLflow server"),
    ],
)
def test_a_server_that_is_no_mlflow_or_refuses(server, status, kind, message):
    handler, uri = server
    handler.answer = (status, kind, b"<html>")
    with pytest.raises(TrackingError, match=message):
        check_tracking_uri(uri)


@pytest.mark.usefixtures("no_proxy")
def test_a_server_that_answers_as_mlflow_is_accepted(server):
    check_tracking_uri(server[1] + "/")


@pytest.mark.parametrize("uri", ["mlruns", "./runs", "file:///tmp/mlruns", "/abs/mlruns"])
def test_a_folder_is_refused_with_what_to_use(uri):
    with pytest.raises(TrackingError, match="sqlite:///"):
        check_tracking_uri(uri)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(uri):
    with pytest.raises(TrackingError, match="every run would be lost"):
        check_tracking_uri(uri)


def test_an_unknown_scheme_names_the_known():
    with pytest.raises(TrackingError, match="known: sqlite, http"):
        check_tracking_uri("ftp://host/x")


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "x.db").write_text("no database, and long enough to have a header" * 40)
    with pytest.raises(TrackingError, match=r"database .* cannot be written"):
        check_tracking_uri(f"sqlite:///{tmp_path}/x.db")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrackingError, match="cannot be written"):
        check_tracking_uri(f"sqlite:///{tmp_path}/file/x.db")


def test_a_database_that_another_process_holds(tmp_path):
    holder = sqlite3.connect(tmp_path / "x.db")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(TrackingError, match="locked"):
        check_tracking_uri(f"sqlite:///{tmp_path}/x.db", timeout_s=0.1)
    holder.close()


def test_the_check_leaves_no_trace(tmp_path):
    check_tracking_uri(default_tracking_uri(tmp_path / "new"))
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("sqlite:///runs/x.db", "sqlite:////here/runs/x.db"),
        ("sqlite:///../x.db", "sqlite:////here/../x.db"),
        ("sqlite:///a b/ü.db", "sqlite:////here/a b/ü.db"),
        ("sqlite:///what%3F/100%25.db", "sqlite:////here/what%3F/100%25.db"),
        ("sqlite:////abs/My%2520Photos.db", "sqlite:////abs/My%2520Photos.db"),
        ("sqlite:///x.db?timeout=5", "sqlite:////here/x.db?timeout=5"),
        ("sqlite+pysqlite:///x.db", "sqlite+pysqlite:////here/x.db"),
        ("sqlite:///s3:x", "sqlite:////here/s3:x"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("https://host/x?y", "https://host/x?y"),
        ("databricks", "databricks"),
    ],
)
def test_a_relative_database_is_that_of_the_place_it_was_said_in(monkeypatch, said, expected):
    monkeypatch.setattr("pathlib.Path.cwd", lambda: Path("/here"))
    assert absolute_tracking_uri(said) == expected
    assert absolute_tracking_uri(expected) == expected


@pytest.mark.parametrize("said", ["", "  ", "sqlite:///relative?x", "sqlite:x.db", "sqlite:/x.db"])
def test_a_tracking_uri_that_means_nothing_is_one_line(said):
    with pytest.raises(TrackingError) as caught:
        check_tracking_uri(absolute_tracking_uri(said))
    assert "\n" not in str(caught.value)
    assert (
        "sqlite:///" in str(caught.value)
        or "empty" in str(caught.value)
        or "%3F" in str(caught.value)
    )


@pytest.mark.parametrize("name", ["My%20Photos", "what?", "a#b", "a&b=c"])
def test_a_folder_of_any_name_holds_its_own_database(tmp_path, name):
    uri = default_tracking_uri(tmp_path / name)
    check_tracking_uri(uri)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_database_and_artifacts_lie_in_a_folder_with_signs_of_uris(tmp_path, monkeypatch):
    folder = tmp_path / "what? 100%25#"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    uri = default_tracking_uri(folder.name)
    log_run_summary("study", tracking_uri=uri, tables={"t": pl.DataFrame({"a": [1]})})
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert (folder / "mlflow.db").is_file()
    assert len(list((folder / "mlartifacts").rglob("t.parquet"))) == 1


def test_a_folder_that_no_uri_can_name_is_refused(tmp_path):
    with pytest.raises(TrackingError, match="is no UTF-8"):
        default_tracking_uri(tmp_path / "caf\udce9")
