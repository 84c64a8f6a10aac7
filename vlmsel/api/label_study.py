"""Study of labels on published tables, or on a store's own: what a few labels gain, and cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from vlmsel.api.published_tables import accuracy_tables, chosen_profiles
from vlmsel.columns import IMAGENET_NAMES
from vlmsel.errors import SelectionError
from vlmsel.evaluation.complete_models import keep_complete
from vlmsel.evaluation.held_out import HeldOutTasks, hold_out
from vlmsel.evaluation.studies.label_calibration import calibration_of_advice, cost_of_stopping
from vlmsel.evaluation.studies.label_gain import LABELS, N_DRAWS, RHO, gain_of_labels, labels_rows
from vlmsel.evaluation.twin_checkpoints import count_once
from vlmsel.report.study_figures import labels_figure

# Each draw of labels takes a hundred times as long to judge as to rank.
CALIBRATION_DRAWS = 10


@dataclass(frozen=True)
class LabelStudy:
    """The gain from labels on each table; the hits are simulated.

    Attributes:
        rows: of `labels_rows`, table after table.
        figure: gain over average rank against the number of labels.
        calibration: table, then the columns of `calibration_of_advice`; None unless asked for.
        stopping: table, then the columns of `cost_of_stopping`; None unless asked for.
        left_out: kind, name, reason of what could not be used; names of models and tasks begin with
            their table's.
    """

    rows: pl.DataFrame
    figure: Figure
    calibration: pl.DataFrame | None
    stopping: pl.DataFrame | None
    left_out: pl.DataFrame


def published_tables(
    store: str | Path, accuracies: Sequence[str] = (), profiles: Sequence[str] = ()
) -> dict[str, pl.DataFrame]:
    """Imported accuracies by the name of their table.

    Args:
        store: folder or address.
        accuracies: names of imports; all when empty.
        profiles: names of imported profiles; when given, only models and tasks with a profile are
            kept.

    Raises:
        StoreError: nothing was imported, or a name is unknown.
    """
    tables = accuracy_tables(store, accuracies)
    if profiles:
        cells = chosen_profiles(store, profiles).select("model", "pretrained", "task").unique()
        cells = pl.concat([cells, _references(tables)])
        tables = {
            name: table.join(cells, on=cells.columns, how="semi", maintain_order="left")
            for name, table in tables.items()
        }
    return tables


def study_labels(
    tables: Mapping[str, pl.DataFrame],
    *,
    labels: Sequence[int] = LABELS,
    rho: float = RHO,
    n_draws: int = N_DRAWS,
    seed: int = 0,
    keep_duplicates: bool = False,
    calibration: bool = False,
) -> LabelStudy:
    """Simulate labels on every table, each by itself.

    Args:
        tables: accuracies by name: model, pretrained, task, acc1.
        labels: numbers of labelled images.
        rho: correlation of the simulated hits.
        n_draws: draws of labelled images per target.
        seed: of the draws.
        keep_duplicates: count near-duplicate checkpoints as models of their own.
        calibration: also hold the advice against the truth, with at most 10 draws per target, which
            takes minutes.

    Raises:
        SelectionError: no table can be used.
    """
    rows, judged, rules, left_out = [], [], [], []
    for name, accuracies in tables.items():
        try:
            held_out, dropped = _hold_out_tasks(accuracies, keep_duplicates=keep_duplicates)
            draws = {"rho": rho, "n_draws": n_draws, "seed": seed}
            metrics = gain_of_labels(held_out, labels=labels, **draws)
        except SelectionError as error:
            left_out.append(pl.DataFrame([("table", name, str(error))], **_LEFT_OUT))
            continue
        rows.append(labels_rows(metrics, name, seed=seed))
        left_out.append(dropped.with_columns(name=pl.format("{}: {}", pl.lit(name), "name")))
        if calibration:
            tag = pl.lit(name).alias("table")
            draws["n_draws"] = min(n_draws, CALIBRATION_DRAWS)
            judged.append(calibration_of_advice(held_out, **draws).select(tag, pl.all()))
            rules.append(cost_of_stopping(held_out, **draws).select(tag, pl.all()))
    if not rows:
        why = left_out[-1].item(0, "reason") if left_out else "there is none"
        raise SelectionError(f"no table can be studied: {why}")
    found = pl.concat(rows)
    return LabelStudy(
        rows=found,
        figure=labels_figure(found),
        calibration=pl.concat(judged) if judged else None,
        stopping=pl.concat(rules) if rules else None,
        left_out=pl.concat(left_out),
    )


_LEFT_OUT = {"schema": dict.fromkeys(("kind", "name", "reason"), pl.String), "orient": "row"}


def _references(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Cells of ImageNet, which need no profile."""
    cells = pl.concat(table.select("model", "pretrained", "task") for table in tables.values())
    return cells.filter(pl.col("task").is_in(IMAGENET_NAMES)).unique()


def _hold_out_tasks(
    accuracies: pl.DataFrame, *, keep_duplicates: bool
) -> tuple[HeldOutTasks, pl.DataFrame]:
    """The targets of a table without holes where possible, and what was left out."""
    complete, dropped = keep_complete(accuracies)
    left_out = [dropped]
    if not keep_duplicates:
        once = count_once(complete)
        complete = once.accuracies
        left_out.append(once.left_out)
    held_out = hold_out(complete, min_sources=2)
    return held_out, pl.concat([*left_out, held_out.left_out])
