"""MLflow, and the only module that knows it: every evaluation and every sweep becomes a run.

Runs are told apart by the tag `kind`: `evaluation` (named after its store, with the means of all
selectors), `leave-one-out` (one run per selector, nested under it, with one `group`), `sweep`,
`sweep-point` (children of a sweep, its best points), and what `log_run_summary` is given.
Metrics have plain names: `tags.kind = 'sweep-point' and metrics.ndcg5 > 0.9` finds runs.
What a run says is worked out in `run_values`.
"""

import logging
import os
import re
import socket
import sqlite3
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import polars as pl
from matplotlib.figure import Figure

from vlmsel.addresses import absolute_path, quoted_path
from vlmsel.csv_tables import write_csv
from vlmsel.errors import TrackingError
from vlmsel.evaluation.leave_one_out import LeaveOneOut
from vlmsel.redaction import redact
from vlmsel.report.figures import sweep_heatmap, to_png
from vlmsel.run_values import (
    best_points,
    digests,
    leave_one_out_figures,
    metric_name,
    own_params,
    points_table,
    sizes,
    summary_metrics,
    target_metrics,
)

# Before the import: MLflow reads these then, and its usage reports go over the network.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from mlflow.data.polars_dataset import from_polars
from mlflow.entities import DatasetInput, InputTag, LifecycleStage, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

for _noisy in ("alembic", "mlflow.store.db.utils"):
    logging.getLogger(_noisy).setLevel(logging.WARNING)

EXPERIMENT = "vlmsel"
_TIMEOUT_S = 5
_SQLITE = re.compile(r"sqlite(\+\w+)?:")
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_METRICS_A_BATCH = 1000
_PARAMS_A_BATCH = 100
_BEST_POINTS = 3
_KEY = ["model", "pretrained"]


def default_tracking_uri(folder: str | Path) -> str:
    """The sqlite database `mlflow.db` in a local folder; artifacts are in `mlartifacts` there."""
    place = absolute_path(folder, "the folder of the tracking database", TrackingError)
    return f"sqlite:///{quoted_path(place / 'mlflow.db', 'the tracking database', TrackingError)}"


def absolute_tracking_uri(uri: str) -> str:
    """The same place, whatever the current folder is later: a relative sqlite file made absolute.

    Raises:
        TrackingError: it is empty, no address of sqlite, or what follows a ? is no option.
    """
    if not uri.strip():
        raise TrackingError("the tracking URI is empty: leave --tracking-uri out for the default")
    if not _SQLITE.match(uri):
        return uri
    path, question, options = uri.partition("?")
    try:
        if question:
            parse_qsl(options, strict_parsing=True)
    except ValueError:
        raise TrackingError(
            f"the tracking URI {redact(uri)!r}: {options!r} is no option; write %3F for a ? in a "
            "path, and %25 for a %"
        ) from None
    database = _sqlite_database(path)
    if not database or database == ":memory:" or database.startswith("file:"):
        # Nothing, refused by `check_tracking_uri`, or an address in SQLite's own words.
        return uri
    place = absolute_path(f"./{database}" if database[0] != "/" else database, "it", TrackingError)
    quoted = quoted_path(place, "the tracking database", TrackingError)
    return f"{path.partition('://')[0]}:///{quoted}{question}{options}"


def check_tracking_uri(uri: str, experiment: str | None = None) -> None:
    """Find out within seconds whether runs can be logged there; MLflow itself tries for minutes.

    Args:
        uri: sqlite:///file, http(s)://server, another database, or databricks.
        experiment: what they are to be logged to; None leaves that open.

    Raises:
        TrackingError: the server is unreachable, refuses, or is none; the file cannot be written;
            the database is of another version; the experiment was deleted.
    """
    _check_place(uri)
    if experiment is not None:
        _check_experiment(uri, experiment)


def _check_experiment(uri: str, experiment: str) -> None:
    # A database that is not there yet is made by the first run.
    if _SQLITE.match(uri) and not _sqlite_path(uri).exists():
        return
    try:
        known = MlflowClient(_without_stray_folders(uri)).get_experiment_by_name(experiment)
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        reason = redact(str(error).strip().split("\n", 1)[0])
        raise TrackingError(f"nothing can be logged to {redact(uri)}: {reason}") from error
    if known is not None and known.lifecycle_stage != LifecycleStage.ACTIVE:
        raise TrackingError(
            f"the experiment {experiment!r} of {redact(uri)} was deleted: restore it with `mlflow "
            f"experiments restore --experiment-id {known.experiment_id}`, or log to another place "
            "with --tracking-uri"
        )


def _check_place(uri: str) -> None:
    scheme = uri.split(":", 1)[0].split("+", 1)[0] if ":" in uri else ""
    if uri == "databricks" or scheme in {"databricks", "uc"}:
        return
    if scheme in {"", "file"}:
        raise TrackingError(
            f"the tracking URI {redact(uri)!r} is a folder, and MLflow 3 logs to none; "
            "use a database as sqlite:///runs/mlflow.db, or a server as https://host"
        )
    if scheme in {"http", "https"}:
        _check_server(uri)
    elif scheme == "sqlite":
        _check_sqlite(_sqlite_path(uri))
    elif scheme in _DATABASE_PORTS:
        _check_database(uri, _DATABASE_PORTS[scheme])
    else:
        known = ", ".join(("sqlite", "http", "https", *_DATABASE_PORTS, "databricks"))
        raise TrackingError(f"the tracking URI {redact(uri)!r} has no known scheme; known: {known}")


def log_leave_one_out(
    loo: LeaveOneOut,
    *,
    tracking_uri: str,
    accuracies: pl.DataFrame,
    experiment: str = EXPERIMENT,
    params: Mapping[str, object] | None = None,
    profiles: pl.DataFrame | None = None,
    dcd: pl.DataFrame | None = None,
    tags: Mapping[str, str] | None = None,
) -> list[str]:
    """One run per selector: settings, metrics with intervals and by target, tables, figures.

    Tables that all selectors share (accuracies, dcd, left_out) lie once, in the run that the tag
    `shared_tables` names.

    Args:
        loo: the result.
        tracking_uri: where to log.
        accuracies: what was ranked from, the runs' data set: model, pretrained, task, acc1.
        experiment: made when missing.
        params: more parameters; `<selector>.<option>` goes to that selector's run alone.
        profiles: long profiles, for a figure and the number of images.
        dcd: model, pretrained, source, target, dcd.
        tags: more tags, for every run. `store` also names a run that the others nest under, with
            the means of all selectors (`<metric>.<selector>`).

    Returns:
        The run ids, in the order of the selectors' names; the parent is none of them.

    Raises:
        TrackingError: the server or database refuses.
    """
    summary = loo.summary()
    selectors = sorted(loo.metrics["selector"].unique())
    figures = leave_one_out_figures(profiles, dcd)
    shared = {"accuracies": accuracies, "left_out": loo.left_out}
    shared |= {} if dcd is None else {"dcd": dcd}
    with _client(tracking_uri, experiment) as (client, experiment_id):
        ids: list[str] = []
        group = uuid.uuid4().hex[:12]
        above = dict(tags or {})
        if "store" in above:
            own = {"group": group, **above}
            above["mlflow.parentRunId"] = _log_parent(client, experiment_id, summary, own)
        for name in selectors:
            own = {
                "metrics": loo.metrics.filter(pl.col("selector") == name),
                "summary": summary.filter(pl.col("selector") == name),
                "rankings": loo.rankings.filter(pl.col("selector") == name),
                "weights": loo.weights.filter(pl.col("selector") == name).collect(),
            }
            run_tags = {"group": group, "selector": name, **digests(accuracies), **above}
            with _run(client, experiment_id, "leave-one-out", name, run_tags) as run_id:
                ids.append(run_id)
                client.set_tag(run_id, "shared_tables", ids[0])
                known = sizes(loo, accuracies, profiles) | {"selector": name}
                _log_params(client, run_id, known | own_params(params or {}, name, selectors))
                values = summary_metrics(own["summary"]) | target_metrics(own["metrics"])
                _log_metrics(client, run_id, ((k, v, 0) for k, v in values.items()))
                tables = {k: t for k, t in own.items() if not t.is_empty()}
                _log_files(client, run_id, tables | (shared if len(ids) == 1 else {}), figures)
                _log_dataset(client, run_id, accuracies)
    return ids


def _log_parent(
    client: MlflowClient, experiment_id: str, summary: pl.DataFrame, tags: dict[str, str]
) -> str:
    """A run that others nest under: the mean of every metric, by selector."""
    with _run(client, experiment_id, "evaluation", tags["store"], tags) as run_id:
        rows = summary.select("metric", "selector", "mean").iter_rows()
        means = ((f"{metric}.{metric_name(who)}", mean, 0) for metric, who, mean in rows)
        _log_metrics(client, run_id, means)
        _log_files(client, run_id, {"summary": summary}, {})
    return run_id


def log_sweep(
    frame: pl.DataFrame,
    *,
    tracking_uri: str,
    experiment: str = EXPERIMENT,
    params: Mapping[str, object] | None = None,
    accuracies: pl.DataFrame | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """One run for the sweep, and a child run for each of the best three points of every metric.

    The sweep's run holds `best.<metric>`, `best.<metric>.eta`, `best.<metric>.gamma`, and every
    point as a step of `point.<metric>`, `point.eta`, `point.gamma`. A child has plain names.

    Args:
        frame: eta, gamma, metric, value, and target where not yet averaged.
        tracking_uri: where to log.
        experiment: made when missing.
        params: more parameters.
        accuracies: what was ranked from, logged as the run's data set.
        tags: more tags, for every run.

    Returns:
        The id of the sweep's run.

    Raises:
        TrackingError: the server or database refuses, or the frame has no point.
    """
    points = points_table(frame)
    metrics = [name for name in points.columns if name not in {"eta", "gamma"}]
    best = {metric: best_points(points, metric) for metric in metrics}
    values: dict[str, float] = {}
    for metric, table in best.items():
        for column, name in ((metric, ""), ("eta", ".eta"), ("gamma", ".gamma")):
            values[f"best.{metric_name(metric)}{name}"] = table[column][0]
    figures = {f"sweep_{metric_name(m)}": to_png(sweep_heatmap(frame, m)) for m in metrics}
    about = {"n_points": points.height, "n_etas": points["eta"].n_unique()}
    about |= {"n_gammas": points["gamma"].n_unique()}
    run_tags = {**({} if accuracies is None else digests(accuracies)), **(tags or {})}
    with (
        _client(tracking_uri, experiment) as (client, experiment_id),
        _run(client, experiment_id, "sweep", "sweep", run_tags) as run_id,
    ):
        _log_params(client, run_id, about | dict(params or {}))
        _log_metrics(client, run_id, ((k, v, 0) for k, v in values.items()))
        series = (
            (f"point.{metric_name(name)}", row[name], step)
            for step, row in enumerate(points.iter_rows(named=True))
            for name in points.columns
        )
        _log_metrics(client, run_id, series)
        _log_files(client, run_id, {"sweep": frame, "points": points}, figures)
        if accuracies is not None:
            _log_dataset(client, run_id, accuracies)
        child_tags = run_tags | {"mlflow.parentRunId": run_id}
        chosen = pl.concat([t.head(_BEST_POINTS) for t in best.values()])
        for row in chosen.unique(["eta", "gamma"], maintain_order=True).iter_rows(named=True):
            name = f"eta {row['eta']:g}, gamma {row['gamma']:g}"
            with _run(client, experiment_id, "sweep-point", name, child_tags) as child:
                own = {"eta": row["eta"], "gamma": row["gamma"]}
                _log_params(client, child, dict(params or {}) | own)
                named = ((metric_name(k), v, 0) for k, v in row.items() if k not in own)
                _log_metrics(client, child, named)
    return run_id


def log_run_summary(
    kind: str,
    *,
    tracking_uri: str,
    experiment: str = EXPERIMENT,
    params: Mapping[str, object] | None = None,
    metrics: Mapping[str, float | None] | None = None,
    tables: Mapping[str, pl.DataFrame] | None = None,
    figures: Mapping[str, Figure] | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """One run of another kind: a nightly refresh, a study.

    Args:
        kind: the tag to find it by, as `refresh` or `study`.
        tracking_uri: where to log.
        experiment: made when missing.
        params: settings.
        metrics: results; None and NaN are left out.
        tables: file name without ending to frame.
        figures: file name without ending to figure.
        tags: more tags.

    Returns:
        The run's id.

    Raises:
        TrackingError: the server or database refuses.
    """
    with (
        _client(tracking_uri, experiment) as (client, experiment_id),
        _run(client, experiment_id, kind, kind, tags or {}) as run_id,
    ):
        _log_params(client, run_id, params or {})
        _log_metrics(client, run_id, ((metric_name(k), v, 0) for k, v in (metrics or {}).items()))
        pictures = {name: to_png(figure) for name, figure in (figures or {}).items()}
        _log_files(client, run_id, tables or {}, pictures)
    return run_id


def _check_server(uri: str) -> None:
    try:
        answer = http_request(
            get_default_host_creds(uri.rstrip("/")),
            "/api/2.0/mlflow/experiments/search",
            "GET",
            max_retries=0,
            timeout=_TIMEOUT_S,
            raise_on_status=False,
            params={"max_results": 1},
        )
    except (MlflowException, OSError, ValueError) as error:
        raise TrackingError(
            f"the tracking server {redact(uri)} cannot be reached; start it, correct the URI, or "
            "log to a file with sqlite:///runs/mlflow.db"
        ) from error
    assert answer is not None  # the caller's declared type allows None, http_request never gives it
    if answer.status_code in {401, 403}:
        raise TrackingError(
            f"the tracking server {redact(uri)} refuses us (HTTP {answer.status_code}); set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    if answer.status_code != 200 or "json" not in answer.headers.get("Content-Type", ""):
        raise TrackingError(
            f"{redact(uri)} answers, but not as an MLflow server (HTTP {answer.status_code}); "
            "correct the URI"
        )


def _check_database(uri: str, port: int) -> None:
    try:
        url = urlsplit(uri)
        address = (url.hostname or "localhost", url.port or port)
        socket.create_connection(address, timeout=_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        message = (
            f"the tracking database {redact(uri)} cannot be reached; start it or correct the URI"
        )
        raise TrackingError(message) from error


def _sqlite_database(uri: str) -> str | None:
    try:
        return make_url(uri).database
    except (SQLAlchemyError, ValueError):
        raise TrackingError(
            f"the tracking URI {redact(uri)!r} is none: write sqlite:///runs/mlflow.db"
        ) from None


def _sqlite_path(uri: str) -> Path:
    database = _sqlite_database(uri)
    if not database or database == ":memory:":
        raise TrackingError(
            f"the tracking URI {uri!r} names no file, so every run would be lost; use "
            "sqlite:///runs/mlflow.db"
        )
    return Path(database).absolute()


def _check_sqlite(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            with closing(sqlite3.connect(path, timeout=_TIMEOUT_S)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    except (OSError, sqlite3.Error) as error:
        message = f"the tracking database {path} cannot be written ({error}); choose another path"
        raise TrackingError(message) from error


@contextmanager
def _client(uri: str, experiment: str) -> Iterator[tuple[MlflowClient, str]]:
    """A client and the experiment's id; what goes wrong inside becomes a TrackingError."""
    uri = absolute_tracking_uri(uri)
    check_tracking_uri(uri)
    try:
        client = MlflowClient(_without_stray_folders(uri))
        yield client, _experiment_id(client, uri, experiment)
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        reason = redact(str(error).strip().split("\n", 1)[0])
        raise TrackingError(f"nothing more was logged to {redact(uri)}: {reason}") from error


def _without_stray_folders(uri: str) -> str:
    """The same database for MLflow, which would make a folder of a name with codes as it stands."""
    is_encoded = uri.startswith("sqlite:") and "%" in uri
    return uri.replace("sqlite:", "sqlite+pysqlite:", 1) if is_encoded else uri


def _experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    known = client.get_experiment_by_name(name)
    if known is not None:
        return known.experiment_id
    # Without it MLflow puts a database's artifacts into whatever folder is the current one.
    place = None
    if _SQLITE.match(uri):
        place = (_sqlite_path(uri).parent / "mlartifacts").as_uri()
    try:
        return client.create_experiment(name, artifact_location=place)
    except MlflowException:
        made_meanwhile = client.get_experiment_by_name(name)
        if made_meanwhile is None:
            raise
        return made_meanwhile.experiment_id


def _origin() -> dict[str, str]:
    """Tags of every run: which program logged it, in which version."""
    return {"mlflow.source.name": "vlmsel", "vlmsel_version": version("vlmsel")}


@contextmanager
def _run(
    client: MlflowClient, experiment_id: str, kind: str, name: str, tags: Mapping[str, str]
) -> Iterator[str]:
    """A run that ends FINISHED, or FAILED when anything inside raises."""
    clean = {key: redact(value) for key, value in {**_origin(), **tags}.items()}
    run = client.create_run(experiment_id, run_name=name, tags={**clean, "kind": kind})
    status = "FAILED"
    try:
        yield run.info.run_id
        status = "FINISHED"
    finally:
        client.set_terminated(run.info.run_id, status)


def _log_params(client: MlflowClient, run_id: str, params: Mapping[str, object]) -> None:
    entities = [Param(metric_name(k), redact(v)) for k, v in params.items()]
    for start in range(0, len(entities), _PARAMS_A_BATCH):
        client.log_batch(run_id, params=entities[start : start + _PARAMS_A_BATCH])


def _log_metrics(
    client: MlflowClient, run_id: str, values: Iterable[tuple[str, float | None, int]]
) -> None:
    now = int(time.time() * 1000)
    entities = [
        Metric(name, float(value), now, step)
        for name, value, step in values
        if value is not None and value == value  # NaN: not defined, so not logged
    ]
    for start in range(0, len(entities), _METRICS_A_BATCH):
        client.log_batch(run_id, metrics=entities[start : start + _METRICS_A_BATCH])


def _log_files(
    client: MlflowClient,
    run_id: str,
    tables: Mapping[str, pl.DataFrame],
    figures: Mapping[str, bytes],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            path = Path(folder, "tables", name)
            path.parent.mkdir(exist_ok=True)
            table.write_parquet(path.with_name(f"{name}.parquet"))
            if not any(kind.is_nested() for kind in table.dtypes):
                write_csv(table, path.with_name(f"{name}.csv"))
        for name, png in figures.items():
            path = Path(folder, "figures", f"{name}.png")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(png)
        client.log_artifacts(run_id, folder)


def _log_dataset(client: MlflowClient, run_id: str, accuracies: pl.DataFrame) -> None:
    frame = accuracies.sort([*_KEY, "task"])
    with warnings.catch_warnings():
        # A name can be "interpreted in multiple ways" by MLflow, all of them the same.
        warnings.simplefilter("ignore", UserWarning)
        data = from_polars(frame, source="tables/accuracies.parquet", name="accuracies")
    context = InputTag("mlflow.data.context", "accuracies")
    entity = data._to_mlflow_entity()
    client.log_inputs(run_id, [DatasetInput(dataset=entity, tags=[context])])
