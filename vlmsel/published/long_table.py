"""Reader of a plain long table: model, pretrained, task, accuracy."""

from pathlib import Path

import polars as pl

from vlmsel.errors import StoreError
from vlmsel.published.clean_tables import (
    Imported,
    LeftOut,
    clean_values,
    finish_accuracies,
    read_csv,
)
from vlmsel.published.names import NameTable, load_names

# Other words for the columns, the first one that a table has counts.
WORDS = {
    "task": ("task", "dataset"),
    "acc1": ("accuracy", "acc1", "acc"),
}
OPTIONAL = ("acc5", "mean_per_class_recall")


def long_columns(header: list[str]) -> dict[str, str]:
    """Our names of the columns of a long table by the names in the file; empty if it is none."""
    found = {"model": "model", "pretrained": "pretrained"}
    for name, words in WORDS.items():
        word = next((word for word in words if word in header), None)
        if word is None:
            return {}
        found[word] = name
    return found if {"model", "pretrained"} <= set(header) else {}


def read_long_table(
    path: str | Path,
    *,
    percent: bool = False,
    quickgelu: bool = False,
    keep_unknown: bool = True,
    prompts: str | None = None,
    names: NameTable | None = None,
) -> Imported:
    """A table with one row per model and task: model, pretrained, task (or dataset), accuracy.

    Args:
        path: the CSV or Parquet file; accuracy may be called acc1 or acc.
        percent: the accuracies are in percent.
        quickgelu: read ``X/openai`` as ``X-quickgelu/openai``, see ``names.yaml``.
        keep_unknown: keep tasks that the name table does not know, under their own names: a long
            table is often one's own.
        prompts: kind of prompts to keep, where the table has a column ``prompts``; default:
            ensemble.
        names: another name table than the shipped one.

    Returns:
        model, pretrained, task, acc1, acc5, mean_per_class_recall, n_images (null).

    Raises:
        StoreError: the file is no such table, has a cell that is no number, contradicts itself, or
            its numbers contradict `percent`, or nothing in it can be used.
    """
    table, left_out = names or load_names(), LeftOut()
    raw = read_csv(path, ["model", "pretrained"])
    columns = long_columns(raw.columns)
    if not columns:
        raise StoreError(
            f"table {path} has another layout: expected model, pretrained, task and accuracy, "
            f"found {', '.join(raw.columns)}"
        )
    raw = select_prompts(raw, prompts, path, left_out)
    measures = ["acc1", *(name for name in OPTIONAL if name in raw.columns)]
    used = {*columns, *measures}
    for name in raw.columns:
        if name not in used:
            left_out.add("column", name, raw.height, "not part of the layout")
    long = raw.select([name for name in raw.columns if name in used]).rename(columns)
    long = clean_values(
        long, measures, path, table, left_out, percent=percent, keep_unknown=keep_unknown
    )
    return finish_accuracies(long, path, table, left_out, quickgelu=quickgelu)


DEFAULT_PROMPTS = "ensemble"


def select_prompts(
    raw: pl.DataFrame, prompts: str | None, path: str | Path, left_out: LeftOut
) -> pl.DataFrame:
    """Rows of one kind of prompts, without the column; the others are noted.

    Raises:
        StoreError: the kind is not in the table, or kinds are wanted of a table without them.
    """
    if "prompts" not in raw.columns:
        if prompts is not None:
            raise StoreError(f"table {path} has no column prompts: leave --prompts out")
        return raw
    kinds = raw["prompts"].unique().drop_nulls().sort().to_list()
    wanted = prompts or (kinds[0] if len(kinds) == 1 else DEFAULT_PROMPTS)
    if wanted not in kinds:
        raise StoreError(
            f"table {path} has no prompts {wanted!r}: choose with --prompts of {', '.join(kinds)}"
        )
    other = raw.filter(pl.col("prompts") != wanted)
    left_out.add_groups("row", other, ["prompts"], f"other prompts than {wanted}")
    return raw.filter(prompts=wanted).drop("prompts")
