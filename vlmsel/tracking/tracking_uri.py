"""Address of the tracking database or server: made absolute, and checked before anything runs."""

import re
import socket
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from vlmsel.addresses import absolute_path, quote_path
from vlmsel.errors import TrackingError, first_line
from vlmsel.redaction import redact

TIMEOUT_S = 5.0
SQLITE = re.compile(r"sqlite(\+\w+)?:")
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def default_tracking_uri(folder: str | Path) -> str:
    """The sqlite database `mlflow.db` in a local folder; artifacts are in `mlartifacts` there."""
    place = absolute_path(folder, "the folder of the tracking database", TrackingError)
    return f"sqlite:///{quote_path(place / 'mlflow.db', 'the tracking database', TrackingError)}"


def absolute_tracking_uri(uri: str) -> str:
    """The same place, whatever the current folder is later: a relative sqlite file made absolute.

    Raises:
        TrackingError: it is empty, no address of sqlite, or what follows a ? is no option.
    """
    if not uri.strip():
        raise TrackingError("the tracking URI is empty: leave --tracking-uri out for the default")
    if not SQLITE.match(uri):
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
    quoted = quote_path(place, "the tracking database", TrackingError)
    return f"{path.partition('://')[0]}:///{quoted}{question}{options}"


def check_tracking_uri(
    uri: str, experiment: str | None = None, *, timeout_s: float = TIMEOUT_S
) -> None:
    """Find out within seconds whether runs can be logged there; MLflow itself tries for minutes.

    Args:
        uri: sqlite:///file, http(s)://server, another database, or databricks.
        experiment: what they are to be logged to; None leaves that open.
        timeout_s: how long a server may take to answer, and another process may hold the file.

    Raises:
        TrackingError: the server is unreachable, refuses, or is none; the file cannot be written;
            the database is of another version; the experiment was deleted.
    """
    _check_place(uri, timeout_s)
    if experiment is not None:
        _check_experiment(uri, experiment)


def _check_experiment(uri: str, experiment: str) -> None:
    # A database that is not there yet is made by the first run.
    if SQLITE.match(uri) and not sqlite_path(uri).exists():
        return
    try:
        known = MlflowClient(for_mlflow(uri)).get_experiment_by_name(experiment)
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        reason = redact(first_line(error))
        raise TrackingError(f"nothing can be logged to {redact(uri)}: {reason}") from error
    if known is not None and known.lifecycle_stage != LifecycleStage.ACTIVE:
        raise TrackingError(
            f"the experiment {experiment!r} of {redact(uri)} was deleted: restore it with `mlflow "
            f"experiments restore --experiment-id {known.experiment_id}`, or log to another place "
            "with --tracking-uri"
        )


def _check_place(uri: str, timeout_s: float) -> None:
    scheme = uri.split(":", 1)[0].split("+", 1)[0] if ":" in uri else ""
    if uri == "databricks" or scheme in {"databricks", "uc"}:
        return
    if scheme in {"", "file"}:
        raise TrackingError(
            f"the tracking URI {redact(uri)!r} is a folder, and MLflow 3 logs to none; "
            "use a database as sqlite:///runs/mlflow.db, or a server as https://host"
        )
    if scheme in {"http", "https"}:
        _check_server(uri, timeout_s)
    elif scheme == "sqlite":
        _check_sqlite(sqlite_path(uri), timeout_s)
    elif scheme in _DATABASE_PORTS:
        _check_database(uri, _DATABASE_PORTS[scheme], timeout_s)
    else:
        known = ", ".join(("sqlite", "http", "https", *_DATABASE_PORTS, "databricks"))
        raise TrackingError(f"the tracking URI {redact(uri)!r} has no known scheme; known: {known}")


def _check_server(uri: str, timeout_s: float) -> None:
    try:
        answer = http_request(
            get_default_host_creds(uri.rstrip("/")),
            "/api/2.0/mlflow/experiments/search",
            "GET",
            max_retries=0,
            timeout=timeout_s,
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


def _check_database(uri: str, port: int, timeout_s: float) -> None:
    try:
        url = urlsplit(uri)
        address = (url.hostname or "localhost", url.port or port)
        socket.create_connection(address, timeout=timeout_s).close()
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


def sqlite_path(uri: str) -> Path:
    """Return the file of a sqlite address.

    Raises:
        TrackingError: it names none.
    """
    database = _sqlite_database(uri)
    if not database or database == ":memory:":
        raise TrackingError(
            f"the tracking URI {uri!r} names no file, so every run would be lost; use "
            "sqlite:///runs/mlflow.db"
        )
    return Path(database).absolute()


def _check_sqlite(path: Path, timeout_s: float) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            with closing(sqlite3.connect(path, timeout=timeout_s)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    except (OSError, sqlite3.Error) as error:
        message = f"the tracking database {path} cannot be written ({error}); choose another path"
        raise TrackingError(message) from error


def for_mlflow(uri: str) -> str:
    """Return the same database for MLflow, which would make a folder of the encoded name."""
    is_encoded = uri.startswith("sqlite:") and "%" in uri
    return uri.replace("sqlite:", "sqlite+pysqlite:", 1) if is_encoded else uri
