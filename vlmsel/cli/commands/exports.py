"""``vlmsel export``: what a store knows, as tables that other tools read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlmsel.cli import options as o
from vlmsel.cli.option_groups import takes_flags
from vlmsel.cli.views.console import emit_json, say
from vlmsel.published.table_layouts import TableLayout

if TYPE_CHECKING:
    import polars as pl

    from vlmsel.api.export import ExportSource

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


@dataclass(frozen=True)
class ExportFlags:
    """Rows that are wanted of a store, and whether a file may be replaced."""

    store: o.Store = o.DEFAULT_STORE
    zoo: o.ZooSource = None
    tasks: o.TaskSource = None
    source: Sources = None
    overwrite: Overwrite = False
    as_json: o.AsJson = False

    def write(
        self, file: Path, what: str, lay_out: Callable[["ExportSource"], "pl.DataFrame"]
    ) -> None:
        """Read, lay out and commit in one step: the file is the old one or the whole new one.

        Args:
            file: the target, which is checked before anything is read.
            what: its rows, for people.
            lay_out: makes the table.

        Raises:
            StoreError: it cannot be written, or nothing is known.
        """
        from vlmsel.api.export import ExportSource
        from vlmsel.published.table_files import check_target, table_bytes
        from vlmsel.store.filesystem import open_folder

        check_target(file, overwrite=self.overwrite)
        known = ExportSource(self.store, zoo=self.zoo, tasks=self.tasks, sources=self.source or ())
        table = lay_out(known)
        open_folder(file.parent).write_atomic(file.name, table_bytes(table, file.suffix))
        if self.as_json:
            emit_json({"file": str(file), "rows": table.height, "columns": table.columns})
            return
        say(f"{table.height} rows of {what} are in {file}")


@app.command("accuracies")
@takes_flags
def accuracies(
    file: Target,
    layout: Annotated[
        TableLayout | None,
        typer.Option(
            help="long: one row per model and task, with all that is known. wide: as open_clip's "
            "results, one column per task. clip-benchmark: as that package's table. Default: long, "
            "in LaTeX wide.",
            show_default=False,
        ),
    ] = None,
    *,
    flags: ExportFlags,
) -> None:
    """Write the accuracies of models on tasks, measured and imported."""
    from vlmsel.published.table_layouts import lay_out_accuracies

    is_latex = file.suffix.lower() == ".tex"
    chosen = layout or (TableLayout.wide if is_latex else TableLayout.long)
    flags.write(file, "accuracies", lambda known: lay_out_accuracies(known.accuracies(), chosen))


@app.command("classes")
@takes_flags
def classes(file: Target, *, flags: ExportFlags) -> None:
    """Write the accuracies of every class of every task."""
    from vlmsel.published.table_layouts import lay_out_classes

    flags.write(file, "class accuracies", lambda known: lay_out_classes(known.classes()))


@app.command("predictions")
@takes_flags
def predictions(file: Target, *, flags: ExportFlags) -> None:
    """Write what every model answers on every image, how sure it is, and the true class."""
    from vlmsel.published.table_layouts import lay_out_predictions

    flags.write(file, "predictions", lambda known: lay_out_predictions(known.predictions()))


@app.command("rankings")
@takes_flags
def rankings(file: Target, selector: o.SelectorNames = None, *, flags: ExportFlags) -> None:
    """Write how selectors rank the zoo for every task, held out, beside the true accuracies."""
    from vlmsel.published.table_layouts import lay_out_rankings

    names = selector or ()
    flags.write(file, "ranks", lambda known: lay_out_rankings(known.rankings(names)))
