"""``vlmsel study orders``: which image to label next, on answers with known classes."""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from vlmsel.cli.commands.study_labels import LabelOptions, Outcome, parse_labels
from vlmsel.cli.judgement_options import show_left_out
from vlmsel.cli.views.console import note, show_table
from vlmsel.errors import SettingsError

if TYPE_CHECKING:
    from vlmsel.api.order_study import OrderStudy

NAME = "orders"
DESCRIPTION = (
    "which image to label next? regret and tau of random, coda, model-selector and vma against the "
    "number of labels, on the store's answers and on imported predictions"
)


def check_options(options: LabelOptions, others: dict[str, object]) -> None:
    """Find options without effect before the work.

    Raises:
        SettingsError: one was given.
    """
    without = {**others, "--rho": options.rho, "--calibration": options.calibration}
    without["--predictions"] = options.predictions
    for name, value in without.items():
        if value not in (None, False):
            raise SettingsError(f"{name} has no effect on study {NAME}: leave it out")


def run(
    options: LabelOptions, store: str, zoo: str | None, tasks: str | None, *, seed: int
) -> Outcome:
    """Run the study.

    Raises:
        StoreError: there are no answers with known classes.
        SelectionError: none of them can be used.
    """
    from vlmsel.api.order_study import LABELS, N_DRAWS, study_orders

    labels = list(LABELS) if options.labels is None else parse_labels(options.labels, least=1)
    n_draws = options.draws or N_DRAWS
    found = study_orders(store, zoo=zoo, tasks=tasks, labels=labels, n_draws=n_draws, seed=seed)
    if options.markdown:
        _write_page(options.markdown, found)
    params: dict[str, object] = {
        "labels": ",".join(map(str, labels)),
        "draws": n_draws,
        "seed": seed,
    }
    return Outcome(NAME, found.rows, found.figure, params, {}, lambda: _show(found))


def _write_page(file: Path, found: "OrderStudy") -> None:
    """The results as Markdown, with the command, the machine and the date."""
    from vlmsel.cli.views.output_files import write_output
    from vlmsel.cli.views.page_origin import page_origin
    from vlmsel.evaluation.studies.label_orders_page import orders_page

    page = orders_page(page_origin(), found.rows, found.left_out)
    write_output(file, page, "--markdown")


def _show(found: "OrderStudy") -> None:
    """Print each table, and who wins."""
    from vlmsel.evaluation.studies.label_orders_page import describe_orders

    clear = (pl.col("delta_low") > 0) | (pl.col("delta_high") < 0)
    cell = pl.format(
        "{}{}",
        pl.col("mean").map_elements(lambda value: f"{value:.3f}", pl.String),
        pl.when(clear).then(pl.lit("*")).otherwise(pl.lit("")),
    )
    for (table,), rows in found.rows.group_by("table", maintain_order=True):
        wide = rows.with_columns(cell=cell).pivot(
            "metric", index=["selector", "n_labels"], values="cell", maintain_order=True
        )
        n_tasks = rows["n_tasks"][0]
        tasks = f"{n_tasks} tasks" if n_tasks > 1 else "1 task"
        sizes = f"{tasks}, {rows['n_models'][0]} models"
        show_table(wide, title=f"{table} ({sizes})")
    note("* differs from random picking: the 95 % interval of the difference excludes zero")
    note("picked labels are no random sample: hit rates are unbiased under random alone")
    for line in describe_orders(found.rows).splitlines():
        note(line)
    show_left_out(found.left_out)
