"""``vlmsel export``: what a store knows, as tables that other tools read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlmsel.cli import options as o
from vlmsel.cli.console import emit_json, say
from vlmsel.published.table_layouts import TableLayout

if TYPE_CHECKING:
    import polars as pl

app = typer.Typer(
    help="Write what a store knows as a table: CSV, Parquet or LaTeX, by the file's suffix. "
    "`vlmsel import` reads CSV and Parquet back.",
    no_args_is_help=True,
)

Target = Annotated[
    Path,
    typer.Argument(
        parser=o.output_path,
        metavar="FILE",
        help="The file: .csv, .parquet or .tex.",
        show_default=False,
    ),
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="NAME",
        help="Only what was measured here (measured) or imported under a name; given more than "
        "once, the first one that knows a row counts. Default: measured, then all imports.",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Take the place of the file.")]


@app.command("accuracies")
def accuracies(
    file: Target,
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    layout: Annotated[
        TableLayout | None,
        typer.Option(
            help="long: one row per model and task, with all that is known. wide: as open_clip's "
            "results, one column per task. clip-benchmark: as that package's table. Default: long, "
            "in LaTeX wide.",
            show_default=False,
        ),
    ] = None,
    source: Sources = None,
    overwrite: Overwrite = False,
    as_json: o.AsJson = False,
) -> None:
    """Write the accuracies of models on tasks, measured and imported."""
    from vlmsel.api.export import ExportSource
    from vlmsel.published.table_files import check_target
    from vlmsel.published.table_layouts import lay_out_accuracies

    check_target(file, overwrite=overwrite)
    is_latex = file.suffix.lower() == ".tex"
    chosen = layout or (TableLayout.wide if is_latex else TableLayout.long)
    known = ExportSource(store, zoo=zoo, tasks=tasks, sources=source or ()).accuracies()
    _write(file, lay_out_accuracies(known, chosen), "accuracies", as_json=as_json)


@app.command("classes")
def classes(
    file: Target,
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    source: Sources = None,
    overwrite: Overwrite = False,
    as_json: o.AsJson = False,
) -> None:
    """Write the accuracies of every class of every task."""
    from vlmsel.api.export import ExportSource
    from vlmsel.published.table_files import check_target
    from vlmsel.published.table_layouts import lay_out_classes

    check_target(file, overwrite=overwrite)
    known = ExportSource(store, zoo=zoo, tasks=tasks, sources=source or ()).classes()
    _write(file, lay_out_classes(known), "class accuracies", as_json=as_json)


@app.command("predictions")
def predictions(
    file: Target,
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    source: Sources = None,
    overwrite: Overwrite = False,
    as_json: o.AsJson = False,
) -> None:
    """Write what every model answers on every image, how sure it is, and the true class."""
    from vlmsel.api.export import ExportSource
    from vlmsel.published.table_files import check_target
    from vlmsel.published.table_layouts import lay_out_predictions

    check_target(file, overwrite=overwrite)
    known = ExportSource(store, zoo=zoo, tasks=tasks, sources=source or ()).predictions()
    _write(file, lay_out_predictions(known), "predictions", as_json=as_json)


@app.command("rankings")
def rankings(
    file: Target,
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    selector: o.SelectorNames = None,
    source: Sources = None,
    overwrite: Overwrite = False,
    as_json: o.AsJson = False,
) -> None:
    """Write how selectors rank the zoo for every task, held out, beside the true accuracies."""
    from vlmsel.api.export import ExportSource
    from vlmsel.published.table_files import check_target
    from vlmsel.published.table_layouts import lay_out_rankings

    check_target(file, overwrite=overwrite)
    export = ExportSource(store, zoo=zoo, tasks=tasks, sources=source or ())
    _write(file, lay_out_rankings(export.rankings(selector or ())), "ranks", as_json=as_json)


def _write(file: Path, table: "pl.DataFrame", what: str, *, as_json: bool) -> None:
    """Commit the file in one step: it is the old one or the whole new one.

    Raises:
        StoreError: it cannot be written.
    """
    from vlmsel.published.table_files import table_bytes
    from vlmsel.store.filesystem import open_folder

    open_folder(file.parent).write_atomic(file.name, table_bytes(table, file.suffix))
    if as_json:
        emit_json({"file": str(file), "rows": table.height, "columns": table.columns})
        return
    say(f"{table.height} rows of {what} are in {file}")
