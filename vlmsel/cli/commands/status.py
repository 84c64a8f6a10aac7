"""``vlmsel status``: what is measured, failed and missing."""

from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from vlmsel.cli import options as o
from vlmsel.cli.views.console import emit_json, say, show_table, warn

if TYPE_CHECKING:
    from vlmsel.api.workspace import Workspace

GROUPS = {"model": ["kind", "model", "pretrained"], "task": ["kind", "task"], "cell": None}
COUNTS = ("measured", "failed", "failed_images", "missing")


def status(
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    by: Annotated[str, typer.Option(help="Rows: model, task, or cell for both.")] = "model",
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", help="Only this measurement; may be given more than once. Default: all."
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Hash every file; corrupt ones are set aside as missing."),
    ] = False,
    allow_failures: o.AllowFailures = 0,
    as_json: o.AsJson = False,
) -> None:
    """Say what is measured, failed or missing; exits with 1 unless all is measured.

    Measured, failed and missing count cells of every kind that the store was asked for;
    failed_images are those that failed inside measured cells. Needs no run and, without --verify,
    changes nothing, so it can be asked for while one goes on.
    """
    from vlmsel.api.workspace import open_workspace
    from vlmsel.errors import SettingsError, TaskError
    from vlmsel.execution.plan.preparation import find_unprompted
    from vlmsel.execution.store_status import failed_frame, status_frame

    if by not in GROUPS:
        raise SettingsError(f"--by {by}: there is {', '.join(GROUPS)}")
    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    kinds = _kinds(workspace, kind)
    wants = [workspace.wants[name] for name in kinds]
    evidence, catalogued = workspace.evidence, workspace.catalogued
    faults = [*catalogued.faults, *find_unprompted(catalogued, wants if kind else [])]
    if kind and not any(evidence.wanted(name) for name in kinds):
        raise TaskError(faults[-1].reason if faults else f"nothing is wanted of {kinds[0]}")
    if verify:
        for want in wants:
            cells = evidence.wanted(want.kind)
            for cell in workspace.store.verify(want.kind, want.measurement.digest, cells):
                warn(f"corrupt, set aside: {cell}")
    files = {cell: path for name in kinds for cell, path in evidence.files(name).items()}
    frame = status_frame(
        [cell for name in kinds for cell in evidence.wanted(name)],
        files,
        failed_frame(workspace.store, [want.measurement for want in wants]),
        workspace.store.failed_images(files),
    )
    counts = frame.select(pl.col(COUNTS).sum()).row(0, named=True)
    keys = GROUPS[by]
    table = frame if keys is None else _group(frame, keys)
    if as_json:
        emit_json({"store": workspace.address, **counts, "rows": table})
    else:
        show_table(table, title=f"{workspace.address}, cells by {by}")
        for fault in faults:
            warn(f"left out: {fault}")
        say(
            f"{counts['measured']} measured, {counts['failed']} failed, {counts['missing']} "
            f"missing; {counts['failed_images']} images failed inside measured cells"
        )
    n_failed = counts["failed"] + counts["failed_images"] + len(faults)
    if counts["missing"] or n_failed > allow_failures:
        raise typer.Exit(1)


def _kinds(workspace: "Workspace", asked: list[str] | None) -> list[str]:
    """Return the named kinds, else all that the store is for."""
    from vlmsel.errors import SettingsError

    for name in asked or ():
        if name not in workspace.wants:
            raise SettingsError(f"--kind {name}: the store holds {', '.join(workspace.wants)}")
    return list(dict.fromkeys(asked or workspace.wants))


def _group(frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    return frame.group_by(keys, maintain_order=True).agg(
        pl.col(COUNTS).sum(),
        pl.col("reason").drop_nulls().first(),
    )
