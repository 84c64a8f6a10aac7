"""``vlmsel status``: what is measured, failed and missing."""

from typing import Annotated

import polars as pl
import typer

from vlmsel.cli import options as o
from vlmsel.cli.console import emit_json, say, show_table, warn

COUNTS = ("measured", "failed", "failed_images", "missing")


def status(
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    by: Annotated[str, typer.Option(help="Rows: model, task, or cell for both.")] = "model",
    accuracies: Annotated[
        bool, typer.Option("--accuracies", help="Of the accuracies instead of the profiles.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Hash every file; corrupt ones are set aside as missing."),
    ] = False,
    allow_failures: o.AllowFailures = 0,
    as_json: o.AsJson = False,
) -> None:
    """Say what is measured, failed or missing; exits with 1 unless all is measured.

    Measured, failed and missing count cells; failed_images are those that failed inside measured
    cells. Needs no run and, without --verify, changes nothing, so it can be asked for while one
    goes on.
    """
    from vlmsel.api.workspace import open_workspace
    from vlmsel.errors import SettingsError, TaskError
    from vlmsel.execution.known import (
        corrupt_cells,
        failed_cells,
        failed_images,
        measured_cells,
    )
    from vlmsel.execution.options import RunOptions
    from vlmsel.execution.status import status_frame

    groups = {"model": ["model", "pretrained"], "task": ["task"], "cell": None}
    if by not in groups:
        raise SettingsError(f"--by {by}: there is {', '.join(groups)}")
    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    if accuracies and workspace.labelled is None:
        raise TaskError(
            f"no task of {workspace.tasks_source} has class names, so none can be known"
        )
    asked = (workspace.labelled or workspace) if accuracies else workspace
    plan = (asked.plan_accuracies if accuracies else asked.plan_profiles)(RunOptions(verify=False))
    if verify:
        for cell in corrupt_cells(store, plan.job):
            warn(f"corrupt, set aside: {cell}")
    measured = measured_cells(store, plan.job)
    images = failed_images(store, plan.job, measured)
    frame = status_frame(plan.wanted, measured, failed_cells(store, plan.job), images)
    counts = frame.select(pl.col(COUNTS).sum()).row(0, named=True)
    keys = groups[by]
    table = frame if keys is None else _grouped(frame, keys)
    if as_json:
        emit_json({"store": workspace.address, **counts, "rows": table})
    else:
        what = "accuracies" if accuracies else "cells"
        show_table(table, title=f"{workspace.address}, {what} by {by}")
        for fault in plan.faults:
            warn(f"left out: {fault}")
        say(
            f"{counts['measured']} measured, {counts['failed']} failed, {counts['missing']} "
            f"missing; {counts['failed_images']} images failed inside measured cells"
        )
    n_failed = counts["failed"] + counts["failed_images"] + len(plan.faults)
    if counts["missing"] or n_failed > allow_failures:
        raise typer.Exit(1)


def _grouped(frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    return frame.group_by(keys, maintain_order=True).agg(
        pl.col(COUNTS).sum(),
        pl.col("reason").drop_nulls().first(),
    )
