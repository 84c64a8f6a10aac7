"""``vlmsel tasks``: what is in a task catalog."""

from typing import Annotated

import polars as pl
import typer

from vlmsel.cli.console import emit_json, show_table
from vlmsel.cli.options import AsJson


def tasks(
    tasks: Annotated[str, typer.Option(help="Task catalog (YAML), or demo.")] = "demo",
    count: Annotated[
        bool, typer.Option("--count", help="Also read the images and count them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the tasks of a catalog: images, class names and prompt templates.

    A catalog is a YAML file with a list `tasks`; `vlmsel tasks --json` shows one as an example.
    """
    from vlmsel.api.workspace import load_task_catalog

    rows = []
    for spec in load_task_catalog(tasks).tasks:
        row: dict[str, object] = {
            "task": spec.name,
            "classes": len(spec.classnames or ()) or None,
            "templates": len(spec.templates or ()) or None,
            "images": spec.images,
        }
        if count:
            from vlmsel.tasks.index import index_task

            row["n_images"] = len(index_task(spec).images)
        rows.append(row)
    frame = pl.DataFrame(rows, infer_schema_length=None)
    if as_json:
        emit_json(frame)
    else:
        show_table(frame, title=f"tasks {tasks}")
