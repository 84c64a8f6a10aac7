"""``vlmsel import``: published accuracies and profiles into a store."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlmsel.cli import options as o
from vlmsel.cli.console import emit_json, say, warn_of_some
from vlmsel.store.filesystem import open_folder

if TYPE_CHECKING:
    from vlmsel.store.tables import Imported

# Lines of one kind; the rest is counted.
SHOWN = 30

app = typer.Typer(
    help="Read published tables into a store, to evaluate selectors on them.", no_args_is_help=True
)

File = Annotated[
    Path,
    typer.Argument(parser=o.input_file, metavar="FILE", help="The CSV file.", show_default=False),
]
Names = Annotated[
    Path | None,
    typer.Option(
        parser=o.input_file,
        metavar="FILE",
        help="YAML with further task names, such as `tasks: {birds: {also: [My Birds]}}`.",
        show_default=False,
    ),
]
Name = Annotated[
    str | None, typer.Option(help="Name of this table in the store. Default: the file's name.")
]
QuickGelu = Annotated[
    bool,
    typer.Option(
        "--quickgelu",
        help="Read X/openai as X-quickgelu/openai, so that tables with either name meet.",
    ),
]


class Layout(StrEnum):
    """How a table of accuracies is laid out."""

    auto = "auto"
    openclip = "openclip"
    lovm = "lovm"


@app.command("accuracies")
def accuracies(
    file: File,
    store: o.Store = o.DEFAULT_STORE,
    layout: Annotated[
        Layout, typer.Option(help="openclip: one column a data set. lovm: one row a cell.")
    ] = Layout.auto,
    percent: Annotated[
        bool, typer.Option("--percent", help="The accuracies are in percent.")
    ] = False,
    quickgelu: QuickGelu = False,
    names: Names = None,
    name: Name = None,
    as_json: o.AsJson = False,
) -> None:
    """Import open_clip's results table (wide) or LOVM's evaluation table (long)."""
    from vlmsel.store.imports import read_lovm_table, read_openclip_results
    from vlmsel.store.names import with_own_names
    from vlmsel.store.store import Store

    readers = {Layout.openclip: read_openclip_results, Layout.lovm: read_lovm_table}
    chosen = _guess(file) if layout is Layout.auto else layout
    table = with_own_names(names)
    found = readers[chosen](file, percent=percent, quickgelu=quickgelu, names=table)
    Store(store).import_accuracies(found.frame, name or file.stem)
    _tell(file, found, store, "accuracies", as_json=as_json)


@app.command("profiles")
def profiles(
    file: File,
    store: o.Store = o.DEFAULT_STORE,
    quickgelu: QuickGelu = False,
    names: Names = None,
    name: Name = None,
    as_json: o.AsJson = False,
) -> None:
    """Import published profiles: model, pretrained, task, block, block_name, conductance."""
    from vlmsel.store.imports import read_published_profiles
    from vlmsel.store.names import with_own_names
    from vlmsel.store.store import Store

    found = read_published_profiles(file, quickgelu=quickgelu, names=with_own_names(names))
    Store(store).import_profiles(found.frame, name or file.stem)
    _tell(file, found, store, "profile values", as_json=as_json)


def _guess(file: Path) -> Layout:
    from vlmsel.store.tables import read_header

    header = {name.lower() for name in read_header(file)}
    return Layout.lovm if {"dataset", "acc1"} <= header else Layout.openclip


def _tell(file: Path, found: "Imported", store: str, what: str, *, as_json: bool) -> None:
    frame = found.frame
    models = frame.select("model", "pretrained").n_unique()
    if as_json:
        emit_json(
            {
                "rows": frame.height,
                "models": models,
                "tasks": sorted(frame["task"].unique()),
                "left_out": found.left_out,
                "doubts": found.doubts,
            }
        )
        return
    for _, rows in found.left_out.group_by("what", "reason", maintain_order=True):
        warn_of_some([_left_out(row) for row in rows.iter_rows(named=True)], SHOWN)
    warn_of_some([f"doubtful: {doubt}" for doubt in found.doubts], SHOWN)
    say(
        f"{frame.height} {what} of {models} models on {frame['task'].n_unique()} tasks "
        f"from {file} are in {open_folder(store).address}; `vlmsel evaluate --imported` uses them"
    )


def _left_out(row: dict[str, object]) -> str:
    number = "" if row["what"] == "profile" else f" ({row['count']} values)"
    return f"left out {row['what']} {row['name']}{number}: {row['reason']}"
