"""Puts the commands together and turns errors into one line and an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from vlmsel.cli import (
    accuracy,
    demo,
    evaluate,
    imports,
    models,
    profile,
    refresh,
    report,
    select,
    status,
    study,
    sweep,
    tasks,
)
from vlmsel.cli.console import fail, say
from vlmsel.errors import VlmselError

EXIT_OK, EXIT_INCOMPLETE, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    help="Pick the best pretrained vision-language model for a task from a few unlabelled images."
    "\n\nStart with `vlmsel demo`; then `vlmsel select FOLDER` for images of your own. "
    "Exit codes: 0 everything asked for was done, 1 some of it failed, 2 the input was wrong.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"vlmsel {version('vlmsel')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None: ...


app.command("demo")(demo.demo)
app.command("models")(models.models)
app.command("tasks")(tasks.tasks)
app.command("profile")(profile.profile)
app.command("accuracy")(accuracy.accuracy)
app.add_typer(imports.app, name="import")
app.command("select")(select.select)
app.command("evaluate")(evaluate.evaluate)
app.command("sweep")(sweep.sweep)
app.add_typer(study.app, name="study")
app.command("refresh")(refresh.refresh)
app.command("status")(status.status)
app.command("report")(report.report)


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors of ours become one line on stderr."""
    try:
        app(list(args), prog_name="vlmsel")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_INCOMPLETE
    except VlmselError as error:
        fail(" ".join(str(error).split()))
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        say("stopped: what was measured is in the store; the same command goes on from there")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`| head`): that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_OK


def main() -> None:
    """Entry point of the ``vlmsel`` command."""
    sys.exit(run(sys.argv[1:]))
