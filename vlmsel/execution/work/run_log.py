"""The log of runs in a store: who measured which cells, when, where and with which versions.

One JSON file per run, ``runs/<start>-<id>.json``; it is no part of any cell, so that equal
measurements stay equal bytes.
"""

import getpass
import json
import logging
import platform
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.units import CellOutcome
from vlmsel.store.filesystem import Folder

log = logging.getLogger(__name__)

RUNS = "runs"
FLUSH_S = 60.0
# What a value may depend on.
LIBRARIES = ("torch", "open-clip-torch", "timm", "transformers", "pillow", "numpy")
SCHEMA = {
    "run": pl.String,
    "started": pl.String,
    "ended": pl.String,
    "by": pl.String,
    "host": pl.String,
    "vlmsel": pl.String,
    "torch": pl.String,
    "executor": pl.String,
    "measured": pl.Int64,
    "failed": pl.Int64,
}


@dataclass
class RunLog:
    """Record of one run so far; written now and then, so that a kill loses a minute of it.

    Attributes:
        name: of the run.
        facts: who, where, with what.
        flush_s: seconds between two writes, at least.
    """

    folder: Folder
    name: str
    facts: dict[str, object]
    flush_s: float = FLUSH_S
    _cells: dict[str, dict[str, dict[str, list[str]]]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=lambda: {"measured": 0, "failed": 0})
    _written: float = 0.0

    def note(self, outcome: CellOutcome) -> None:
        """One more cell is settled."""
        if outcome.status in self._counts:
            self._counts[outcome.status] += 1
        if outcome.status == "measured":
            cell = outcome.cell
            tasks = self._cells.setdefault(f"{cell.kind}/{cell.settings}", {})
            models = tasks.setdefault(f"{cell.model}/{cell.pretrained}", {})
            models.setdefault(cell.task, []).append(cell.key)
        if time.monotonic() - self._written > self.flush_s:
            try:
                self.write()
            except StoreError as error:
                # The store may come back, and no run ends for its log.
                self._written = time.monotonic()
                log.warning("the log of the run is not written now: %s", error)

    def write(self, *, ended: bool = False) -> None:
        """Write the file.

        Raises:
            StoreError: it cannot be written.
        """
        end = _now() if ended else None
        document = {**self.facts, "ended": end, **self._counts, "cells": self._cells}
        self.folder.write_atomic(f"{RUNS}/{self.name}.json", json.dumps(document).encode())
        self._written = time.monotonic()


@contextmanager
def logged_run(
    folder: Folder, options: RunOptions, *, flush_s: float = FLUSH_S
) -> Iterator[RunLog]:
    """Keep the log of a run for the time of the block.

    Args:
        folder: the store.
        options: of the run.
        flush_s: seconds between two writes, at least.

    Raises:
        StoreError: the store cannot be written.
    """
    started = _now()
    facts: dict[str, object] = {
        "started": started,
        "by": _user(),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "vlmsel": version("vlmsel"),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        "executor": options.executor,
        "device": options.device,
    }
    name = f"{started.replace(':', '').replace('-', '')}-{uuid.uuid4().hex[:8]}"
    run_log = RunLog(folder, name, facts, flush_s)
    run_log.write()
    try:
        yield run_log
    except BaseException:
        with suppress(StoreError):
            run_log.write(ended=True)
        raise
    run_log.write(ended=True)


def read_runs(folder: Folder) -> list[dict[str, object]]:
    """All logs of a store, the oldest first; a damaged one is left out."""
    found: list[dict[str, object]] = []
    for name in sorted(folder.names(RUNS)):
        try:
            document = json.loads(folder.read(f"{RUNS}/{name}"))
        except ValueError:
            continue
        if isinstance(document, dict):
            found.append({"run": name.removesuffix(".json"), **document})
    return found


def runs_frame(
    runs: list[dict[str, object]], *, model: str | None = None, task: str | None = None
) -> pl.DataFrame:
    """Runs as a table, only those that measured cells of a model or task where one is named.

    Args:
        runs: of `read_runs`.
        model: ``model/pretrained``, or the model alone.
        task: its name.
    """
    rows = []
    for run in runs:
        n_cells = _count(run.get("cells"), model, task)
        if n_cells or (model is None and task is None):
            libraries = run.get("libraries")
            torch = libraries.get("torch") if isinstance(libraries, dict) else None
            row = {name: run.get(name) for name in SCHEMA}
            rows.append({**row, "torch": torch, "measured": n_cells})
    return pl.DataFrame(rows, schema=SCHEMA, strict=False)


def _count(cells: object, model: str | None, task: str | None) -> int:
    """Cells of a run that are of a model and a task; all where none is named."""
    count = 0
    for models in cells.values() if isinstance(cells, dict) else ():
        for name, tasks in models.items():
            if model is None or model in (name, name.rpartition("/")[0]):
                count += sum(len(keys) for t, keys in tasks.items() if task in (None, t))
    return count


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # Containers may run as a user without an entry.
        return "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
