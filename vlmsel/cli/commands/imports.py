"""``vlmsel import``: published accuracies and profiles into a store."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vlmsel.cli import options as o
from vlmsel.cli.views.console import emit_json, say, warn_of_some
from vlmsel.published import stored_tables
from vlmsel.published.layouts import Layout
from vlmsel.published.mieb import Protocol
from vlmsel.store.filesystem import open_folder

if TYPE_CHECKING:
    from vlmsel.published.clean_tables import Imported

# Lines of one kind; the rest is counted.
SHOWN = 30

app = typer.Typer(
    help="Read published tables into a store, to evaluate selectors on them.", no_args_is_help=True
)

File = Annotated[
    Path,
    typer.Argument(
        parser=o.input_file,
        metavar="FILE",
        help="The CSV or Parquet file.",
        show_default=False,
    ),
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


@app.command("accuracies")
def accuracies(
    file: File,
    store: o.Store = o.DEFAULT_STORE,
    layout: Annotated[
        Layout,
        typer.Option(
            help="How the table is laid out; auto recognises it by its columns. openclip: one "
            "column per data set; all others: one row per model and data set (classes: and class)."
        ),
    ] = Layout.auto,
    percent: Annotated[
        bool, typer.Option("--percent", help="The accuracies are in percent.")
    ] = False,
    quickgelu: QuickGelu = False,
    names: Names = None,
    name: Name = None,
    protocol: Annotated[
        Protocol | None,
        typer.Option(help="Of MIEB's table: which accuracies. Default: zero-shot."),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            help="Of a table with a column prompts: which kind. Default: ensemble.",
            show_default=False,
        ),
    ] = None,
    keep_unknown: Annotated[
        bool | None,
        typer.Option(
            "--keep-unknown/--drop-unknown",
            help="Keep data sets that the name table does not know, under their own names. "
            "Default: kept in a plain long table and in one of classes, else left out.",
            show_default=False,
        ),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Import published accuracies: open_clip, LOVM, CLIP_benchmark, MIEB, or a plain long table.

    A plain long table has the columns model, pretrained, task, accuracy. Accuracies of every class
    (dataset, model, pretrained, classname, acc) are kept, and so are their means over the classes.
    """
    from vlmsel.published.class_accuracies import ImportedClasses
    from vlmsel.published.layouts import read_accuracies, recognise
    from vlmsel.published.names import with_own_names
    from vlmsel.published.stored_tables import write_class_accuracies
    from vlmsel.store.store import Store

    table, kept_as = with_own_names(names), name or file.stem
    chosen = recognise(file) if layout is Layout.auto else layout
    found = read_accuracies(
        file,
        chosen,
        percent=percent,
        quickgelu=quickgelu,
        protocol=protocol,
        prompts=prompts,
        keep_unknown=keep_unknown,
        names=table,
    )
    if isinstance(found, ImportedClasses):
        write_class_accuracies(open_folder(store), found.classes.frame, kept_as)
        found = found.accuracies
    stored_tables.write_accuracies(Store(store).folder, found.frame, kept_as)
    _tell(file, found, store, "accuracies", as_json=as_json, layout=chosen)


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
    from vlmsel.published.layer_profiles import read_published_profiles
    from vlmsel.published.names import with_own_names
    from vlmsel.store.store import Store

    found = read_published_profiles(file, quickgelu=quickgelu, names=with_own_names(names))
    stored_tables.write_profiles(Store(store).folder, found.frame, name or file.stem)
    _tell(file, found, store, "profile values", as_json=as_json)


@app.command("predictions")
def predictions(
    file: File,
    store: o.Store = o.DEFAULT_STORE,
    task: Annotated[
        str | None,
        typer.Option(
            help="Name of the images, where the table has no column task. Default: its name in "
            "the store.",
            show_default=False,
        ),
    ] = None,
    name: Name = None,
    as_json: o.AsJson = False,
) -> None:
    """Import predictions on single images: model, image, pred_label, pred_conf, label.

    Without a column label the images must be named as those of cue-conflict (cat4-truck2).
    """
    from vlmsel.published.clean_tables import read_header
    from vlmsel.published.image_predictions import read_image_predictions
    from vlmsel.published.own_tables import exported_kind
    from vlmsel.published.stored_tables import write_predictions

    # A table of ours names its tasks, and the import's name is none of them.
    named = exported_kind(read_header(file)) == "predictions"
    found = read_image_predictions(file, task=task if named else task or name)
    write_predictions(open_folder(store), found.frame, name or file.stem)
    used_by = "`vlmsel study labels --predictions` uses them"
    _tell(file, found, store, "predictions", as_json=as_json, used_by=used_by)


@app.command("features")
def features(
    file: File,
    store: o.Store = o.DEFAULT_STORE,
    quickgelu: QuickGelu = False,
    names: Names = None,
    name: Name = None,
    as_json: o.AsJson = False,
) -> None:
    """Import text features of ModelGPT: model, pretrained, task, IN-score, text-f1, text-acc1 ...

    The columns are those of LOVM's published table: IN-score, text-f1, text-acc1, intraclass_sim,
    inter_close, intra_close, superclass_metric.
    """
    from vlmsel.published.feature_table import read_features
    from vlmsel.published.names import with_own_names
    from vlmsel.published.stored_tables import write_features

    found = read_features(file, quickgelu=quickgelu, names=with_own_names(names))
    write_features(open_folder(store), found.frame, name or file.stem)
    used_by = "`vlmsel evaluate --imported --selector modelgpt` uses them"
    _tell(file, found, store, "rows of features", as_json=as_json, used_by=used_by)


@app.command("rankings")
def rankings(
    file: File,
    store: o.Store = o.DEFAULT_STORE,
    name: Name = None,
    as_json: o.AsJson = False,
) -> None:
    """Import rankings that `vlmsel export rankings` wrote."""
    from vlmsel.published.own_tables import read_exported
    from vlmsel.published.stored_tables import write_rankings

    found = read_exported(file, "rankings")
    write_rankings(open_folder(store), found.frame, name or file.stem)
    found = replace(found, frame=found.frame.rename({"target": "task"}))
    used_by = "`vlmsel export rankings --source NAME` gives them back"
    _tell(file, found, store, "ranks", as_json=as_json, used_by=used_by)


@app.command("probes")
def probes(
    file: File,
    store: o.Store = o.DEFAULT_STORE,
    percent: Annotated[
        bool, typer.Option("--percent", help="The accuracies are in percent.")
    ] = False,
    quickgelu: QuickGelu = False,
    names: Names = None,
    name: Name = None,
    as_json: o.AsJson = False,
) -> None:
    """Import published linear probes: model, pretrained, dataset, fewshot_k (-1: all), lp_acc1."""
    from vlmsel.published.linear_probes import read_linear_probes
    from vlmsel.published.names import with_own_names
    from vlmsel.published.stored_tables import write_probes

    found = read_linear_probes(
        file, percent=percent, quickgelu=quickgelu, names=with_own_names(names)
    )
    write_probes(open_folder(store), found.frame, name or file.stem)
    used_by = "`vlmsel evaluate --imported --use probe` uses them"
    _tell(file, found, store, "probe accuracies", as_json=as_json, used_by=used_by)


def _tell(
    file: Path,
    found: "Imported",
    store: str,
    what: str,
    *,
    as_json: bool,
    layout: Layout | None = None,
    used_by: str = "`vlmsel evaluate --imported` uses them",
) -> None:
    frame = found.frame
    models = frame.select("model", "pretrained").n_unique()
    if as_json:
        emit_json(
            {
                **({"layout": layout.value} if layout else {}),
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
        f"from {file}{f' (layout {layout})' if layout else ''} are in "
        f"{open_folder(store).address}; {used_by}"
    )


def _left_out(row: dict[str, object]) -> str:
    number = "" if row["what"] == "profile" else f" ({row['count']} values)"
    return f"left out {row['what']} {row['name']}{number}: {row['reason']}"
