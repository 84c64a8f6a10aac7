"""``vlmsel report``: one HTML file about what a store knows."""

from pathlib import Path
from typing import Annotated

import typer

from vlmsel.cli import options as o
from vlmsel.cli.views.console import emit_json, say


def report(
    store: o.Store = o.DEFAULT_STORE,
    zoo: o.ZooSource = None,
    tasks: o.TaskSource = None,
    out: Annotated[
        Path, typer.Option(parser=o.output_path, metavar="FILE", help="The HTML file to write.")
    ] = Path("report.html"),
    target: Annotated[
        str | None, typer.Option(help="Also rank for this task of the catalog, as if it were new.")
    ] = None,
    imported: o.Imported = False,
    as_json: o.AsJson = False,
) -> None:
    """Write one HTML file about what a store knows; it opens offline.

    Leave-one-out of every selector with a verdict, the sweep of eta and gamma, profiles and the
    divergence of tasks; with --target also a ranking beside the truth. Measures nothing.
    """
    from vlmsel.api.report_inputs import held_out_selection, run_laboratory, write_laboratory_report
    from vlmsel.cli.knowledge_choice import gather
    from vlmsel.cli.views.judgement_bar import judging_bar

    knowledge, workspace = gather(store, zoo, tasks, imported=imported)
    with judging_bar():
        selection = held_out_selection(knowledge, target) if target else None
        laboratory = run_laboratory(knowledge)
    title = f"Which model for {target}?" if target else "Which selector can be trusted?"
    path = write_laboratory_report(
        out, laboratory, selection, settings=workspace.settings if workspace else None, title=title
    )
    if as_json:
        emit_json({"report": str(path)})
    else:
        say(f"report: {path}")
