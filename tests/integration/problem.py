"""A problem as a file, so that a driver in another process measures the same."""

import json
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from vlmsel.measurements import Embedding, Prediction, Profile, Want, measurement_class
from vlmsel.settings import AttributionSettings
from vlmsel.store.keys import CellId
from vlmsel.store.store import Store
from vlmsel.tasks.task_catalog import TaskCatalog
from vlmsel.zoo.catalog import Zoo

Wants = tuple[Want, ...]
Problem = tuple[Zoo, TaskCatalog, Wants]


def all_kinds(settings: AttributionSettings) -> Wants:
    """All three kinds on all images.

    The embedding comes before the prediction, so that a run killed between the two is finished from
    stored embeddings, which must give the values of a forward pass.
    """
    return (Want(Profile(settings=settings)), Want(Embedding()), Want(Prediction()))


def write_problem(path: Path, problem: Problem) -> Path:
    zoo, tasks, wants = problem
    asked = [(w.kind, w.measurement.model_dump(mode="json"), w.n_images) for w in wants]
    catalogs = [part.model_dump(mode="json") for part in (zoo, tasks)]
    path.write_text(json.dumps([*catalogs, asked]))
    return path


def read_problem(path: str | Path) -> Problem:
    zoo, tasks, asked = json.loads(Path(path).read_text())
    wants = tuple(
        Want(measurement_class(kind).model_validate(fields), n_images)
        for kind, fields, n_images in asked
    )
    return Zoo.model_validate(zoo), TaskCatalog.model_validate(tasks), wants


def stored_cells(store: str | Path, wants: Wants) -> set[CellId]:
    """Every measured cell of these kinds."""
    found = Store(store)
    return {cell for w in wants for cell in found.cells(w.kind, w.measurement.digest)}


def stored(store: str | Path, wants: Wants) -> dict[str, pl.DataFrame]:
    """The rows of every measured cell by kind; every file is sound."""
    found = Store(store)
    frames = {}
    for want in wants:
        scan = found.scan(found.cells(want.kind, want.measurement.digest))
        assert not scan.corrupt
        frames[want.kind] = scan.rows
    return frames


def assert_equal_stores(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    """Bit for bit, kind by kind."""
    assert found.keys() == expected.keys()
    for kind, frame in expected.items():
        assert_frame_equal(found[kind], frame, check_exact=True)
