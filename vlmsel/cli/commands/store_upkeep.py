"""``vlmsel store``: what a store holds, and keeping it small over the years."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

from vlmsel.cli import options as o
from vlmsel.cli.views.console import emit_json, say, show_table, warn
from vlmsel.errors import StoreError

if TYPE_CHECKING:
    from vlmsel.store.garbage import Garbage
    from vlmsel.store.store import Store

app = typer.Typer(
    help="Look after a store: what it holds and who measured it; delete, compact, migrate.",
    no_args_is_help=True,
)

SHOWN = 10
AlsoZoos = Annotated[
    list[str] | None,
    typer.Option(
        "--also-zoo",
        metavar="ZOO",
        help="Another model catalog that uses this store; its cells stay. May be given more often.",
        show_default=False,
    ),
]
AlsoTasks = Annotated[
    list[str] | None,
    typer.Option(
        "--also-tasks",
        metavar="TASKS",
        help="Another task catalog that uses this store, likewise.",
        show_default=False,
    ),
]


@app.command("size")
def size(
    store: o.Store = o.DEFAULT_STORE,
    as_json: o.AsJson = False,
) -> None:
    """Say what a store takes, by kind and model: cells, files, bytes. Changes nothing."""
    from vlmsel.store.disk_use import store_sizes

    opened = _open_existing(store)
    schema = {
        "what": pl.String,
        "model": pl.String,
        "cells": pl.Int64,
        "files": pl.Int64,
        "size": pl.Int64,
    }
    rows = [asdict(folder_size) for folder_size in store_sizes(opened.folder)]
    frame = pl.DataFrame(rows, schema=schema)
    if as_json:
        emit_json({"store": opened.address, "sizes": frame})
        return
    shown = frame.with_columns(megabytes=pl.col("size") / 1e6).drop("size")
    show_table(shown, title=f"{opened.address}, by kind and model")
    by_kind = frame.group_by("what", maintain_order=True).agg(
        pl.col("cells", "files", "size").sum()
    )
    for row in by_kind.iter_rows(named=True):
        say(f"{row['what']}: {row['cells']} cells, {row['files']} files, {_mb(row['size'])}")
    say(f"in all: {frame['files'].sum()} files, {_mb(int(frame['size'].sum()))}")


@app.command("gc")
def gc(
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    also_zoo: AlsoZoos = None,
    also_tasks: AlsoTasks = None,
    older_than: Annotated[
        float,
        typer.Option("--older-than", min=0.0, metavar="DAYS", help="What is younger stays."),
    ] = 30.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be deleted.")
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Delete cells that no catalog asks for any more, old failures, and what was set aside.

    Cells of every setting and number of images stay while their model and task are in a catalog as
    they were: the store's own (or --zoo, --tasks), --also-zoo, --also-tasks. A model or task that
    cannot be read now loses nothing. Failures that go are tried again by the next run. Refused
    while a run writes into the store.
    """
    from vlmsel.api.upkeep import collect_garbage
    from vlmsel.api.workspace import open_workspace

    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    found = collect_garbage(
        workspace,
        older_than_days=older_than,
        dry_run=dry_run,
        zoos=also_zoo or (),
        tasks=also_tasks or (),
    )
    for fault in workspace.catalogued.faults:
        warn(f"its cells stay, for it cannot be read: {fault}")
    if as_json:
        emit_json(
            {
                "store": workspace.address,
                "dry_run": dry_run,
                "files": len(found),
                "bytes": sum(garbage.size for garbage in found),
                "garbage": [asdict(garbage) for garbage in found],
            }
        )
        return
    _show_garbage(found)
    verb = "would be deleted" if dry_run else "deleted"
    freed = _mb(sum(garbage.size for garbage in found))
    say(f"{len(found)} {verb}, {freed}; older than {older_than:g} d")


def _show_garbage(found: "list[Garbage]") -> None:
    rows = [asdict(garbage) for garbage in found]
    schema = {"what": pl.String, "path": pl.String, "model": pl.String, "size": pl.Int64}
    table = (
        pl.DataFrame(rows, schema=schema)
        .group_by("what", "model")
        .agg(files=pl.len(), megabytes=pl.col("size").sum() / 1e6)
        .sort("what", "model")
    )
    if table.height:
        show_table(table, title="what nobody wants any more")


@app.command("compact")
def compact(
    store: o.Store = o.DEFAULT_STORE,
    as_json: o.AsJson = False,
) -> None:
    """Put the small files of finished tasks into larger ones; every reader sees the same cells.

    May be killed at any time: nothing is lost, and the next one goes on. Refused while a run writes
    into the store.
    """
    from vlmsel.api.upkeep import compact_store

    opened = _open_existing(store)
    found = compact_store(opened)
    if as_json:
        emit_json({"store": opened.address, **asdict(found)})
    else:
        say(
            f"{found.n_cells} cells are in {found.n_packs} larger files now; {found.n_deleted} "
            "small files went"
        )
    for path in found.corrupt[:SHOWN]:
        warn(f"corrupt, left where it is: {path}; `vlmsel status --verify` sets it aside")
    if found.corrupt:
        raise typer.Exit(1)


@app.command("migrate")
def migrate(
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    as_json: o.AsJson = False,
) -> None:
    """Bring cells of an earlier schema version under this one, without measuring them anew."""
    from vlmsel.api.upkeep import migrate_store
    from vlmsel.api.workspace import open_workspace

    workspace = open_workspace(store, zoo=zoo, tasks=tasks)
    found = migrate_store(workspace)
    if as_json:
        emit_json({name: asdict(done) for name, done in found.items()})
    elif not found:
        say(f"{workspace.address} holds nothing of an earlier schema version")
    for name, done in found.items():
        say(f"{name}: {done.n_cells} cells brought under this version, {done.n_there} were there")
        for cell in done.corrupt[:SHOWN]:
            warn(f"corrupt, to be measured anew: {cell}")
    if any(done.corrupt for done in found.values()):
        raise typer.Exit(1)


@app.command("runs")
def runs(
    store: o.Store = o.DEFAULT_STORE,
    model: Annotated[
        str | None,
        typer.Option(help="Only runs that measured this model (model/pretrained)."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only runs that measured this task.")] = None,
    as_json: o.AsJson = False,
) -> None:
    """Say who measured what, when and with which versions; --json tells every cell."""
    from vlmsel.execution.work.run_log import read_runs, runs_frame

    opened = _open_existing(store)
    found = read_runs(opened.folder)
    frame = runs_frame(found, model=model, task=task)
    if as_json:
        named = set(frame["run"])
        emit_json([run for run in found if run["run"] in named])
        return
    show_table(frame.drop("run"), title=f"runs of {opened.address}")


def _open_existing(store: str) -> "Store":
    """A store that is there, of whatever it holds: nothing is made of a mistyped name.

    Raises:
        StoreError: there is none.
    """
    from vlmsel.store.store import Store

    opened = Store(store)
    if not (opened.folder.names("") or opened.folder.folders("")):
        raise StoreError(f"there is no store at {opened.address}")
    return opened


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
