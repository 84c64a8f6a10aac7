"""Tables that `vlmsel export` writes: their columns, and a reader that changes nothing.

A table with exactly these columns is read back word for word: no name is made canonical, no cell
taken for a missing one, no number rounded.
"""

from pathlib import Path

import polars as pl

from vlmsel.columns import CELL
from vlmsel.errors import StoreError
from vlmsel.published.clean_tables import Imported, LeftOut, raw_cells, require_rows

# In the order of the file; the last column tells them from other people's tables.
COLUMNS: dict[str, dict[str, pl.DataType | type[pl.DataType]]] = {
    "accuracies": {
        **dict.fromkeys(CELL, pl.String),
        "acc1": pl.Float64,
        "acc5": pl.Float64,
        "mean_per_class_recall": pl.Float64,
        "n_images": pl.Int64,
        "source": pl.String,
    },
    "classes": {
        "dataset": pl.String,
        "model": pl.String,
        "pretrained": pl.String,
        "classname": pl.String,
        "acc": pl.Float64,
        "n_images": pl.Int64,
        "source": pl.String,
    },
    "predictions": {
        **dict.fromkeys(CELL, pl.String),
        "image": pl.String,
        "pred_label": pl.String,
        "pred_conf": pl.Float64,
        "label": pl.String,
        "source": pl.String,
    },
    "rankings": {
        "target": pl.String,
        "selector": pl.String,
        "rank": pl.Int64,
        "model": pl.String,
        "pretrained": pl.String,
        "score": pl.Float64,
        "accuracy": pl.Float64,
        "source": pl.String,
    },
}
# Of these a row may lack the value.
OPTIONAL = ("acc5", "mean_per_class_recall", "n_images", "pred_label", "pred_conf", "accuracy")
_UNIQUE = {
    "accuracies": [*CELL],
    "classes": ["dataset", "model", "pretrained", "classname"],
    "predictions": [*CELL, "image"],
    "rankings": ["target", "selector", "model", "pretrained"],
}


def exported_kind(header: list[str]) -> str | None:
    """The kind of table that has exactly these columns; None for tables of others."""
    return next((kind for kind, columns in COLUMNS.items() if list(columns) == header), None)


def read_exported(path: str | Path, kind: str) -> Imported:
    """A table that `vlmsel export` wrote, as it was written, without its `source`.

    Predictions on images without a label are left out, and named: nothing can be learnt from them.

    Raises:
        StoreError: it has other columns, a cell of another type, a row that lacks something or
            comes twice, or no row.
    """
    raw = raw_cells(path)
    schema = COLUMNS[kind]
    if raw.columns != list(schema):
        raise StoreError(f"table {path} holds no {kind} of `vlmsel export`")
    frame, left_out = _cast(raw, schema, path), LeftOut()
    if kind == "predictions":
        unlabelled = frame.filter(pl.col("label").is_null())
        left_out.add_groups("row", unlabelled, ["model"], "no label")
        frame = frame.filter(pl.col("label").is_not_null())
    needed = [name for name in schema if name not in OPTIONAL]
    lacking = frame.filter(pl.any_horizontal(pl.col(needed).is_null()))
    if lacking.height:
        raise StoreError(f"table {path}: a row lacks something: {lacking.row(0, named=True)}")
    twice = frame.filter(frame.select(_UNIQUE[kind]).is_duplicated())
    if twice.height:
        row = twice.select(_UNIQUE[kind]).row(0, named=True)
        raise StoreError(f"table {path}: {row} comes twice; export one source, or keep one row")
    return require_rows(frame.drop("source").sort(_UNIQUE[kind]), path, left_out)


def _cast(
    raw: pl.DataFrame, schema: dict[str, pl.DataType | type[pl.DataType]], path: str | Path
) -> pl.DataFrame:
    """The cells as numbers, where numbers are meant.

    Raises:
        StoreError: a cell is none, or not finite.
    """
    for name, dtype in schema.items():
        if dtype == pl.String:
            continue
        typed = raw[name].cast(dtype, strict=False)
        wrong = raw[name].is_not_null() & typed.is_null()
        if dtype == pl.Float64:
            wrong |= typed.is_infinite().fill_null(value=False)
        if wrong.any():
            row = int(wrong.arg_true()[0])
            raise StoreError(f"table {path}: {raw[name][row]!r} in column {name} is no number")
        raw = raw.with_columns(typed)
    return raw
