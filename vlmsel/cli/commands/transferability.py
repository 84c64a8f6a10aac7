"""``vlmsel study transferability``: published scores beside average rank; it needs no store."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from matplotlib.figure import Figure

from vlmsel.cli.views.console import say, show_table, warn_of_some
from vlmsel.cli.views.output_files import write_output
from vlmsel.errors import SettingsError

NAME = "transferability"
DESCRIPTION = "published transferability scores beside leave-one-out average rank, pool by pool"
SHOWN_LEFT_OUT = 10

Tables = Annotated[
    list[Path] | None,
    typer.Option(
        "--tables",
        metavar="FILE",
        help="Published tables of transferability (CSV) or a folder of them, for the study of "
        "transferability; may be given more than once.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class BenchmarkStudy:
    """Tables, figure and page of the study.

    Attributes:
        table: summary, one row per pool, score and metric.
        figure: weighted taus.
        page: Markdown.
        left_out: pool, name, reason.
    """

    table: pl.DataFrame
    figure: Figure
    page: str
    left_out: pl.DataFrame


def refuse(options: Mapping[str, object]) -> None:
    """Options of studies on a store would have no effect.

    Raises:
        SettingsError: one of them was given.
    """
    for name, value in options.items():
        if value:
            raise SettingsError(f"{name} has no effect on study {NAME}: leave it out")


def run_benchmarks(tables: list[Path] | None, *, seed: int) -> BenchmarkStudy:
    """Read the tables and judge every score on every pool.

    Raises:
        SettingsError: no table is given.
        StoreError: a table cannot be read.
    """
    if not tables:
        raise SettingsError(
            f"study {NAME} reads published tables: name files or a folder with --tables"
        )
    from vlmsel.cli.views.page_origin import page_origin
    from vlmsel.evaluation.studies.published_transfer import benchmark_page
    from vlmsel.evaluation.transfer_benchmarks import judge_benchmarks, summarise_benchmarks
    from vlmsel.published.model_sizes import model_sizes
    from vlmsel.published.printed_taus import printed_taus
    from vlmsel.published.transferability import read_transferability
    from vlmsel.report.study_figures import benchmark_figure

    found = read_transferability(tables)
    values, left_out = judge_benchmarks(found.accuracies, found.scores, model_sizes())
    read = found.left_out.select(
        pl.lit("tables").alias("pool"),
        pl.format("{} {} ({} rows)", "what", "name", "count").alias("name"),
        "reason",
    )
    left_out = pl.concat([read, left_out])
    summary = summarise_benchmarks(values, seed=seed)
    counts = values.group_by("pool").agg(pl.col("n_models").max(), pl.col("target").n_unique())
    page = benchmark_page(
        summary,
        printed_taus(),
        left_out,
        {pool: (models, tasks) for pool, models, tasks in counts.iter_rows()},
        page_origin(),
    )
    return BenchmarkStudy(summary, benchmark_figure(summary), page, left_out)


def write_page(study: BenchmarkStudy, out: Path) -> Path:
    """Write the page of results beside table and figure.

    Raises:
        StoreError: the folder cannot be written.
    """
    path = out / f"{NAME}.md"
    write_output(path, study.page, "--out")
    return path


def show_benchmarks(study: BenchmarkStudy) -> None:
    """Print the weighted taus, pools one after the other."""
    rows = study.table.filter(metric="weighted_tau").drop("metric", "n_targets")
    for (pool,), part in rows.group_by("pool", maintain_order=True):
        show_table(part.drop("pool").sort("mean", descending=True), title=f"{pool}: weighted tau")
    lines = [f"left out {pool}: {name}: {why}" for pool, name, why in study.left_out.iter_rows()]
    warn_of_some(lines, SHOWN_LEFT_OUT)
    say("a delta is the difference to average rank; its interval excludes zero or says nothing")
