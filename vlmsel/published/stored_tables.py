"""Published tables in the store: ``imported/<kind>/<name>.<digest>.parquet``, one file each."""

import polars as pl
import pyarrow as pa

from vlmsel.columns import FEATURE_NAMES, MEASURED
from vlmsel.errors import StoreError
from vlmsel.measurements.row_checks import conform
from vlmsel.store.files import read_rows
from vlmsel.store.filesystem import Folder
from vlmsel.store.keys import IMPORT_NAME, file_name, parse_file_name
from vlmsel.store.row_bytes import make_empty, to_bytes, to_polars

IMPORTED = "imported"
PUBLISHED_IMAGE = "published"
_TEXT = pa.string()
CELL_FIELDS = [pa.field(name, _TEXT, nullable=False) for name in ("model", "pretrained", "task")]
ACCURACY_SCHEMA = pa.schema(
    [
        *CELL_FIELDS,
        pa.field("acc1", pa.float64(), nullable=False),
        pa.field("acc5", pa.float64()),
        pa.field("mean_per_class_recall", pa.float64()),
        pa.field("n_images", pa.int64()),
    ]
)
IMPORTED_PROFILE_SCHEMA = pa.schema(
    [
        *CELL_FIELDS,
        pa.field("block", pa.int32(), nullable=False),
        pa.field("block_name", pa.string(), nullable=False),
        pa.field("conductance", pa.float64(), nullable=False),
    ]
)
PREDICTION_SCHEMA = pa.schema(
    [
        *CELL_FIELDS,
        pa.field("image_id", _TEXT, nullable=False),
        pa.field("prediction", _TEXT),
        pa.field("confidence", pa.float64()),
        pa.field("label", _TEXT, nullable=False),
    ]
)
CLASS_SCHEMA = pa.schema(
    [
        *CELL_FIELDS,
        pa.field("classname", _TEXT, nullable=False),
        pa.field("accuracy", pa.float64(), nullable=False),
        pa.field("n_images", pa.int64()),
    ]
)
# Of tables that were imported before the sizes of classes were kept.
_UNSIZED_CLASS_SCHEMA = pa.schema([field for field in CLASS_SCHEMA if field.name != "n_images"])
RANKING_SCHEMA = pa.schema(
    [
        pa.field("target", _TEXT, nullable=False),
        pa.field("selector", _TEXT, nullable=False),
        pa.field("rank", pa.int64(), nullable=False),
        pa.field("model", _TEXT, nullable=False),
        pa.field("pretrained", _TEXT, nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("accuracy", pa.float64()),
    ]
)

FEATURE_SCHEMA = pa.schema(
    [*CELL_FIELDS, *(pa.field(name, pa.float64()) for name in FEATURE_NAMES)]
)
PROBE_SCHEMA = pa.schema(
    [*CELL_FIELDS, pa.field("shots", pa.int64()), pa.field("acc1", pa.float64(), nullable=False)]
)


def write_profiles(folder: Folder, frame: pl.DataFrame, name: str) -> None:
    """Keep profiles of one image per task.

    Columns: model, pretrained, task, block, block_name, conductance.
    """
    _write(
        folder,
        "profiles",
        frame,
        name,
        IMPORTED_PROFILE_SCHEMA,
        ["model", "pretrained", "task", "block"],
    )


def write_accuracies(folder: Folder, frame: pl.DataFrame, name: str) -> None:
    """Keep accuracies, columns as `ACCURACY_SCHEMA`."""
    _write(folder, "accuracies", frame, name, ACCURACY_SCHEMA, ["model", "pretrained", "task"])


def write_predictions(folder: Folder, frame: pl.DataFrame, name: str) -> None:
    """Keep predictions on single images, columns as `PREDICTION_SCHEMA`."""
    key = ["model", "pretrained", "task", "image_id"]
    _write(folder, "predictions", frame, name, PREDICTION_SCHEMA, key)


def write_class_accuracies(folder: Folder, frame: pl.DataFrame, name: str) -> None:
    """Keep accuracies of every class, columns as `CLASS_SCHEMA`."""
    key = ["model", "pretrained", "task", "classname"]
    _write(folder, "classes", frame, name, CLASS_SCHEMA, key)


def write_rankings(folder: Folder, frame: pl.DataFrame, name: str) -> None:
    """Keep rankings of zoos, columns as `RANKING_SCHEMA`."""
    key = ["target", "selector", "model", "pretrained"]
    _write(folder, "rankings", frame, name, RANKING_SCHEMA, key)


def read_rankings(folder: Folder) -> pl.DataFrame:
    """All imported rankings with their `source`, sorted."""
    key = ["source", "target", "selector", "rank", "model", "pretrained"]
    return _read(folder, "rankings", RANKING_SCHEMA).sort(key)


def write_probes(folder: Folder, frame: pl.DataFrame, name: str) -> None:
    """Keep accuracies of linear probes, columns as `PROBE_SCHEMA`; null shots mean all images."""
    _write(folder, "probes", frame, name, PROBE_SCHEMA, ["model", "pretrained", "task", "shots"])


def write_features(folder: Folder, frame: pl.DataFrame, name: str) -> None:
    """Keep text features, columns as `FEATURE_SCHEMA`."""
    _write(folder, "features", frame, name, FEATURE_SCHEMA, ["model", "pretrained", "task"])


def read_features(folder: Folder) -> pl.DataFrame:
    """All imported text features with their `source`, sorted."""
    key = ["source", "model", "pretrained", "task"]
    return _read(folder, "features", FEATURE_SCHEMA).sort(key)


def read_probes(folder: Folder) -> pl.DataFrame:
    """All imported accuracies of linear probes with their `source`, sorted."""
    key = ["source", "model", "pretrained", "task", "shots"]
    return _read(folder, "probes", PROBE_SCHEMA).sort(key)


def read_predictions(folder: Folder) -> pl.DataFrame:
    """All imported predictions with their `source`, sorted."""
    key = ["source", "model", "pretrained", "task", "image_id"]
    return _read(folder, "predictions", PREDICTION_SCHEMA).sort(key)


def read_class_accuracies(folder: Folder) -> pl.DataFrame:
    """All imported accuracies of classes with their `source`, sorted."""
    key = ["source", "model", "pretrained", "task", "classname"]
    return _read(folder, "classes", CLASS_SCHEMA).sort(key)


def read_profiles(folder: Folder, source: str | None = None) -> pl.DataFrame:
    """Imported profiles with image_id ``published`` and their `source`, sorted."""
    frame = _read(folder, "profiles", IMPORTED_PROFILE_SCHEMA)
    if source is not None:
        frame = frame.filter(pl.col("source") == source)
        if frame.height == 0:
            raise StoreError(f"store {folder.address} has no imported profiles named {source!r}")
    # Two tables may cut one model into other blocks; such profiles must not be compared.
    doubled = frame.group_by("model", "pretrained").agg(pl.col("source").unique().sort())
    doubled = doubled.filter(pl.col("source").list.len() > 1).sort("model", "pretrained")
    if doubled.height:
        model, pretrained, names = doubled.row(0)
        raise StoreError(
            f"store {folder.address} has {doubled.height} models from several imports, the "
            f"first is {model}/{pretrained} from {', '.join(names)}: choose one import by its name"
        )
    frame = frame.with_columns(image_id=pl.lit(PUBLISHED_IMAGE))
    columns = ["model", "pretrained", "task", "image_id", "block", "block_name", "conductance"]
    return frame.select(*columns, "source").sort("model", "pretrained", "task", "block")


def read_accuracies(folder: Folder) -> pl.DataFrame:
    """All imported accuracies with their `source`, sorted."""
    return _read(folder, "accuracies", ACCURACY_SCHEMA).sort(
        "source", "model", "pretrained", "task"
    )


def _write(
    folder: Folder, kind: str, frame: pl.DataFrame, name: str, schema: pa.Schema, key: list[str]
) -> None:
    if name == MEASURED:
        raise StoreError(f"import name {MEASURED!r} is reserved for what was measured here")
    if not IMPORT_NAME.fullmatch(name):
        raise StoreError(
            f"import name {name!r} is impossible: give one of letters, digits, - and _ with --name"
        )
    table = conform(frame.to_arrow(), schema, f"import {name}").sort_by(
        [(column, "ascending") for column in key]
    )
    if frame.select(key).is_duplicated().any():
        row = frame.filter(frame.select(key).is_duplicated()).select(key).row(0)
        raise StoreError(f"import {name}: {dict(zip(key, row, strict=True))} comes twice")
    data = to_bytes(table, {"import": name})
    path = f"{IMPORTED}/{kind}"
    new = file_name(name, data)
    before = _names(folder, kind).get(name, [])
    if before != [new]:
        # The new file first, then the old ones go: a crash between leaves both, the newer counts.
        folder.write_atomic(f"{path}/{new}", data)
    for old in before:
        if old != new:
            folder.delete(f"{path}/{old}")


def _read(folder: Folder, kind: str, schema: pa.Schema) -> pl.DataFrame:
    frames: list[pl.DataFrame] = []
    for name, files in sorted(_names(folder, kind).items()):
        paths = [f"{IMPORTED}/{kind}/{file}" for file in files]
        newest = (
            paths[0]
            if len(paths) == 1
            else max(paths, key=lambda path: (folder.modified(path), path))
        )
        frame = _read_table(folder, newest, schema)
        frames.append(frame.with_columns(source=pl.lit(name)))
    if frames:
        return pl.concat(frames)
    return to_polars(make_empty(schema)).with_columns(source=pl.lit(None, pl.String))


def _read_table(folder: Folder, path: str, schema: pa.Schema) -> pl.DataFrame:
    if schema is not CLASS_SCHEMA:
        return read_rows(folder, [path], schema)
    try:
        return read_rows(folder, [path], schema)
    except StoreError:
        unsized = read_rows(folder, [path], _UNSIZED_CLASS_SCHEMA)
        return unsized.with_columns(n_images=pl.lit(None, pl.Int64))


def _names(folder: Folder, kind: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in sorted(folder.names(f"{IMPORTED}/{kind}")):
        parsed = parse_file_name(file)
        if parsed:
            found.setdefault(parsed[0], []).append(file)
    return found
