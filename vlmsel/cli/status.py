"""``vlmsel status``: what is measured, failed and missing."""

from typing import Annotated

import polars as pl
import typer

from vlmsel.cli import options as o
from vlmsel.cli.console import emit_json, say, show_table, warn


def status(
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    by: Annotated[str, typer.Option(help="Rows: model, task, or cell for both.")] = "model",
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Hash every file; corrupt ones are set aside as missing."),
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Say which profiles are measured, failed or missing; exits with 1 unless all are measured."""
    from vlmsel.api.workspace import open_workspace
    from vlmsel.errors import SettingsError
    from vlmsel.execution.options import RunOptions
    from vlmsel.execution.status import status_frame
    from vlmsel.store.profiles import ProfileStore

    groups = {"model": ["model", "pretrained"], "task": ["task"], "cell": None}
    if by not in groups:
        raise SettingsError(f"--by {by}: there is {', '.join(groups)}")
    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    cells = ProfileStore(store)
    digest = workspace.settings.digest
    if verify:
        for cell in cells.verify(digest):
            warn(f"corrupt, set aside: {cell}")
    plan = workspace.plan_profiles(RunOptions(verify=False))
    measured = cells.measured(digest)
    frame = status_frame(plan.wanted, measured, cells.failed(digest))
    counts = frame.select(pl.col("measured", "failed", "missing").sum()).row(0, named=True)
    table = frame if groups[by] is None else _grouped(frame, groups[by] or [])
    if as_json:
        emit_json({"store": cells.address, **counts, "rows": table})
    else:
        show_table(table, title=f"{cells.address}, cells by {by}")
        for fault in plan.faults:
            warn(f"left out: {fault}")
        say(
            f"{counts['measured']} measured, {counts['failed']} failed, {counts['missing']} missing"
        )
    if counts["failed"] or counts["missing"] or plan.faults:
        raise typer.Exit(1)


def _grouped(frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    return frame.group_by(keys, maintain_order=True).agg(
        pl.col("measured", "failed", "missing").sum(),
        pl.col("reason").drop_nulls().first(),
    )
