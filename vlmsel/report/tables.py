"""Frames as tables that people read: formatted text, and beside it the value to sort by."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from vlmsel.evaluation.input_groups import group_of, group_place
from vlmsel.evaluation.metrics import METRICS

_TOP_SOURCES = 3
# A source of less weight is not worth naming, unless it is the heaviest.
_LEAST_WEIGHT = 0.05
_ROWS = 200
_UNFOLDED_ROWS = 15


@dataclass(frozen=True)
class TableCell:
    """One table cell: the text, what it is sorted by, a second line, and a mark (up, down)."""

    text: str
    sort: float | str = ""
    note: str = ""
    mark: str = ""


_UNKNOWN = TableCell("not known", -1.0)


@dataclass(frozen=True)
class Column:
    """A column's name, what it means, and whether it holds numbers."""

    name: str
    note: str = ""
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Columns and rows, ready for the template.

    Attributes:
        caption: what the table holds.
        columns: heads.
        rows: one cell per column.
        left_out: rows that the frame had beyond these.
        folded: long and seldom read, so behind a fold.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    left_out: int = 0
    folded: bool = False


def ranking_table(ranking: pl.DataFrame, sources: Mapping[tuple[str, str], str]) -> Table:
    """The ranking with interval, rival and truth where the frame has them.

    Args:
        ranking: rank, model, pretrained, score, and perhaps low, high, top5, average_rank,
            accuracy, true_rank.
        sources: (model, pretrained) to the sources that weighed most, as text.
    """
    has = set(ranking.columns)
    columns = [
        Column("rank", numeric=True),
        Column("model"),
        Column("score", "lower is better", True),
    ]
    if {"low", "high"} <= has:
        columns.append(Column("true rank", "95 % interval", True))
    if "top5" in has:
        columns.append(Column("P(top 5)", "in leave-one-out", True))
    if "average_rank" in has:
        columns.append(Column("average rank", "would have said", True))
    if "accuracy" in has:
        columns.append(Column("accuracy", "true rank below", True))
    if sources:
        columns.append(Column("sources that spoke", "weight"))
    rows = tuple(_ranking_row(row, sources) for row in ranking.sort("rank").iter_rows(named=True))
    return Table("Predicted order, best first", tuple(columns), rows)


def _ranking_row(row: dict, sources: Mapping[tuple[str, str], str]) -> tuple[TableCell, ...]:
    cells = [
        _number(row["rank"], "{:.0f}"),
        TableCell(row["model"], f"{row['model']}/{row['pretrained']}", row["pretrained"]),
        _number(row["score"], "{:.3f}"),
    ]
    if {"low", "high"} <= row.keys():
        low, high = row["low"], row["high"]
        cells.append(_UNKNOWN if low is None else TableCell(f"{low:g} to {high:g}", low))
    if "top5" in row:
        cells.append(_number(row["top5"], "{:.0%}"))
    if "average_rank" in row:
        cells.append(_number(row["average_rank"], "{:.0f}"))
    if "accuracy" in row:
        true_rank = row.get("true_rank")
        note = "" if true_rank is None else f"#{true_rank:.0f}"
        cells.append(_number(row["accuracy"], "{:.1%}", note))
    if sources:
        cells.append(TableCell(sources.get((row["model"], row["pretrained"]), "not known")))
    return tuple(cells)


def sources_by_model(weights: pl.DataFrame) -> dict[tuple[str, str], str]:
    """(model, pretrained) to its heaviest sources, as `cars 41 %, pets 22 %`.

    Args:
        weights: model, pretrained, source, weight.
    """
    texts: dict[tuple[str, str], str] = {}
    ordered = weights.sort("weight", "source", descending=[True, False])
    for key, rows in ordered.group_by("model", "pretrained", maintain_order=True):
        heaviest = rows.head(_TOP_SOURCES).filter(pl.col("weight") >= _LEAST_WEIGHT)
        top = (heaviest if heaviest.height else rows.head(1)).select("source", "weight").iter_rows()
        texts[(str(key[0]), str(key[1]))] = ", ".join(f"{s}\u00a0{w:.0%}" for s, w in top)
    return texts


def leave_one_out_table(summary: pl.DataFrame, title: str, metric: str = "ndcg5") -> Table:
    """Selectors as rows, metrics as columns; a mark where the gain over average rank excludes zero.

    Rows are grouped by what the selectors ask of a task.

    Args:
        summary: selector, metric, mean, and where known low, high, delta, delta_low, delta_high.
        title: which zoo and tasks.
        metric: rows of a group are sorted by it.
    """
    named = [m for m in METRICS if m in set(summary["metric"])]
    metrics = named + sorted(set(summary["metric"]) - set(named))
    cells = {
        (row["selector"], row["metric"]): _metric_cell(row) for row in summary.iter_rows(named=True)
    }
    order = summary.filter(pl.col("metric") == metric).sort("mean", descending=True)
    others = sorted(set(summary["selector"]) - set(order["selector"]))
    columns = (
        Column("selector", "what it asks of the task"),
        *(Column(m, METRICS[m].definition if m in METRICS else "", True) for m in metrics),
    )
    ordered = sorted([*order["selector"], *others], key=group_place)
    rows = tuple(
        (_selector_cell(s), *(cells.get((s, m), _UNKNOWN) for m in metrics)) for s in ordered
    )
    return Table(title, columns, rows)


def _selector_cell(selector: str) -> TableCell:
    """The name, and below it the group by what the selector asks of a task."""
    return TableCell(selector, selector, group_of(selector))


def _metric_cell(row: dict) -> TableCell:
    if row["mean"] is None:
        return _UNKNOWN
    low, high = row.get("low"), row.get("high")
    note = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return TableCell(f"{row['mean']:.3f}", row["mean"], note, _mark(row))


def _mark(row: dict) -> str:
    low, high = row.get("delta_low"), row.get("delta_high")
    if low is None or high is None or row["selector"] == "average-rank":
        return ""
    if row["metric"] in METRICS and not METRICS[row["metric"]].higher_is_better:
        low, high = -high, -low
    return "up" if low > 0 else "down" if high < 0 else ""


def plain_table(frame: pl.DataFrame, caption: str) -> Table:
    """A frame as it is, at most 200 rows, folded beyond 15."""
    columns = tuple(Column(n, numeric=t.is_numeric()) for n, t in frame.schema.items())
    rows = tuple(tuple(_plain(v) for v in row) for row in frame.head(_ROWS).iter_rows())
    beyond = max(0, frame.height - _ROWS)
    return Table(caption, columns, rows, beyond, folded=frame.height > _UNFOLDED_ROWS)


def _plain(value: object) -> TableCell:
    if value is None:
        return TableCell("", "")
    if isinstance(value, float):
        return TableCell(f"{value:.4g}", value)
    return TableCell(str(value), value if isinstance(value, int) else str(value))


def _number(value: float | None, form: str, note: str = "") -> TableCell:
    return _UNKNOWN if value is None else TableCell(form.format(value), value, note)
