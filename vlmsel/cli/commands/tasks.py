"""``vlmsel tasks``: what is in a task catalog, and one more task for it."""

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from vlmsel.cli import options as o
from vlmsel.cli.views.console import emit_json, say, show_table
from vlmsel.errors import CatalogError, SettingsError, TaskError

_PANEL = "One more task"


def tasks(
    tasks: Annotated[str, typer.Option(help="Task catalog (YAML), or demo.")] = "demo",
    count: Annotated[
        bool, typer.Option("--count", help="Also read the images and count them.")
    ] = False,
    add: Annotated[
        str | None,
        typer.Option(
            "--add",
            metavar="FOLDER",
            help="Add a folder, tar or Parquet of images to the catalog as a task; the file is "
            "made where there is none.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    classnames: Annotated[
        str | None,
        typer.Option(
            "--classnames",
            metavar="A,B,C|FILE",
            help="Names of its classes, or a file with one per line. Class folders name "
            "themselves.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(
            "--template",
            metavar="TEXT",
            help="Prompt with {} for the class name; may be given more than once.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            parser=o.input_file,
            metavar="FILE",
            help="CSV with the columns image and label, where folders, members or a column do not "
            "label the images.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="Of the task. Default: the folder's.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """List the tasks of a catalog, or add one: images, class names and prompt templates.

    A catalog is a YAML file with a list `tasks`; `vlmsel tasks --json` shows one as an example.
    """
    if add is None:
        given = {"--classnames": classnames, "--template": template, "--labels": labels}
        for option, value in {**given, "--name": name}.items():
            if value:
                raise SettingsError(f"{option} says what a new task is: add --add FOLDER")
        _list(tasks, count=count, as_json=as_json)
        return
    from vlmsel.zoo.catalog import SHIPPED

    # Also a file of such a name could not be given to another command.
    if tasks in SHIPPED:
        raise SettingsError("--add writes a catalog of your own: say which, --tasks tasks.yaml")
    found = _add(tasks, add, name, classnames, {"templates": template, "labels": labels})
    if as_json:
        emit_json(found)
    else:
        say(
            f"task {found['name']}: {found['n_images']} images, {found['n_labelled']} of them "
            f"labelled, {found['n_classes']} classes; added to {found['catalog']}"
        )


def _list(source: str, *, count: bool, as_json: bool) -> None:
    from vlmsel.api.workspace import load_task_catalog

    rows = []
    specs = load_task_catalog(source).tasks
    for spec in specs:
        row: dict[str, object] = {
            "task": spec.name,
            "classes": len(spec.classnames or ()) or None,
            "templates": len(spec.templates or ()) or None,
            "images": spec.images,
        }
        if any(spec.questions is not None for spec in specs):
            row["questions"] = spec.answers if spec.questions is not None else None
        if count:
            from vlmsel.tasks.index import index_task

            row["n_images"] = len(index_task(spec).images)
        rows.append(row)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    if as_json:
        emit_json(frame)
    else:
        show_table(frame, title=f"tasks {source}")


def _add(
    catalog: str,
    images: str,
    name: str | None,
    classnames: str | None,
    more: dict[str, object],
) -> dict[str, object]:
    """Check a new task by reading its images and labels, then write it.

    Raises:
        TaskError: its images, class names or labels are wrong, or it has no class names.
        CatalogError: the catalog cannot be read, or has a task of that name.
    """
    from pydantic import ValidationError

    from vlmsel.addresses import output_address
    from vlmsel.catalogs import first_problem
    from vlmsel.cli.views.answer_view import read_class_names
    from vlmsel.cli.views.output_files import write_output
    from vlmsel.tasks.catalog_entry import add_entry
    from vlmsel.tasks.class_folders import find_class_folders
    from vlmsel.tasks.index import index_task
    from vlmsel.tasks.label_tables import label_table
    from vlmsel.tasks.task_catalog import TaskSpec, folder_task, load_tasks

    path = Path(output_address(catalog, "task catalog", CatalogError))
    known = {spec.name for spec in load_tasks(path).tasks} if path.exists() else set()
    bare = folder_task(images, name)
    if bare.name in known:
        raise CatalogError(f"{path} has a task '{bare.name}' already: give another --name")
    ids = [ref.image_id for ref in index_task(bare).images]
    names = read_class_names(classnames) or find_class_folders(bare.images, ids)
    if not names:
        raise TaskError(
            f"task '{bare.name}' has no class names: give --classnames a,b,c or a file with one a "
            "line; only class folders name themselves"
        )
    labels = more["labels"]
    fields = {
        **bare.model_dump(),
        "classnames": names,
        "templates": more["templates"],
        "labels": None if labels is None else str(labels),
    }
    try:
        spec = TaskSpec.model_validate(fields)
    except ValidationError as error:
        raise TaskError(f"task '{bare.name}': {first_problem(error, TaskSpec)}") from None
    index = index_task(spec)
    n_labelled = label_table(spec, index).height
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else None
        longer = add_entry(text, spec)
    except CatalogError as error:
        raise CatalogError(f"{path}: {error}") from None
    write_output(path, longer, "--tasks")
    return {
        "catalog": str(path),
        "name": spec.name,
        "n_images": len(index.images),
        "n_labelled": n_labelled,
        "n_classes": len(names),
    }
