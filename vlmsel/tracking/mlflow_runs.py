"""Runs of MLflow: a client, a run that ends in a true status, and what is logged in batches."""

import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import polars as pl
from mlflow.data.polars_dataset import from_polars
from mlflow.entities import DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from vlmsel.columns import CELL
from vlmsel.csv_tables import write_csv
from vlmsel.errors import TrackingError, first_line
from vlmsel.redaction import redact
from vlmsel.tracking.run_values import metric_name
from vlmsel.tracking.tracking_uri import (
    SQLITE,
    absolute_tracking_uri,
    check_tracking_uri,
    for_mlflow,
    sqlite_path,
)

_METRICS_A_BATCH = 1000
_PARAMS_A_BATCH = 100


@contextmanager
def open_client(uri: str, experiment: str) -> Iterator[tuple[MlflowClient, str]]:
    """A client and the experiment's id; what goes wrong inside becomes a TrackingError."""
    uri = absolute_tracking_uri(uri)
    check_tracking_uri(uri)
    try:
        client = MlflowClient(for_mlflow(uri))
        yield client, _experiment_id(client, uri, experiment)
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        reason = redact(first_line(error))
        raise TrackingError(f"nothing more was logged to {redact(uri)}: {reason}") from error


def _experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    known = client.get_experiment_by_name(name)
    if known is not None:
        return known.experiment_id
    # Without it MLflow puts a database's artifacts into whatever folder is the current one.
    place = None
    if SQLITE.match(uri):
        place = (sqlite_path(uri).parent / "mlartifacts").as_uri()
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
def open_run(
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


def log_params(client: MlflowClient, run_id: str, params: Mapping[str, object]) -> None:
    """Log parameters without secrets, in batches that every database takes."""
    entities = [Param(metric_name(k), redact(v)) for k, v in params.items()]
    for start in range(0, len(entities), _PARAMS_A_BATCH):
        client.log_batch(run_id, params=entities[start : start + _PARAMS_A_BATCH])


def log_metrics(
    client: MlflowClient, run_id: str, values: Iterable[tuple[str, float | None, int]]
) -> None:
    """Log (name, value, step) in batches; None and NaN are not logged."""
    time_ms = int(time.time() * 1000)
    entities = [
        Metric(name, float(value), time_ms, step)
        for name, value, step in values
        if value is not None and value == value  # NaN: not defined, so not logged
    ]
    for start in range(0, len(entities), _METRICS_A_BATCH):
        client.log_batch(run_id, metrics=entities[start : start + _METRICS_A_BATCH])


def log_files(
    client: MlflowClient,
    run_id: str,
    tables: Mapping[str, pl.DataFrame],
    figures: Mapping[str, bytes],
) -> None:
    """Log tables as Parquet and, where CSV can hold them, as CSV; figures are PNG."""
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


def log_dataset(client: MlflowClient, run_id: str, accuracies: pl.DataFrame) -> None:
    """Log accuracies as the data set of a run."""
    frame = accuracies.sort(CELL)
    with warnings.catch_warnings():
        # A name can be "interpreted in multiple ways" by MLflow, all of them the same.
        warnings.simplefilter("ignore", UserWarning)
        data = from_polars(frame, source="tables/accuracies.parquet", name="accuracies")
    context = InputTag("mlflow.data.context", "accuracies")
    entity = data._to_mlflow_entity()
    client.log_inputs(run_id, [DatasetInput(dataset=entity, tags=[context])])
