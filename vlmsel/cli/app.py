"""Puts the commands together and turns errors into one line and an exit code."""

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vlmsel.cli.examples import EXAMPLES
from vlmsel.cli.late_command import LateCommand
from vlmsel.cli.views.console import fail, say, show_log_records, show_tracebacks
from vlmsel.errors import VlmselError, one_line
from vlmsel.redaction import describe_error, redact

DEBUG = "--debug"
EXIT_OK, EXIT_INCOMPLETE, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130


class Commands(TyperGroup):
    """The commands; whatever goes wrong in one ends here, as one line and an exit code."""

    def invoke(self, ctx: typer.Context) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run a command; errors of ours, of the system and Ctrl-C become one line on stderr."""
        try:
            result = super().invoke(ctx)  # pyright: ignore[reportArgumentType]
            # Here, not at exit, where Python would complain about a reader that went away.
            sys.stdout.flush()
        except VlmselError as error:
            raise _stop(ctx, EXIT_BAD_INPUT, one_line(error), error) from None
        except BrokenPipeError:
            # The reader of our output went away (`| head`): that is no failure of ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_OK) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            reason = where + (error.strerror or str(error))
            raise _stop(ctx, EXIT_BAD_INPUT, reason, error) from None
        except KeyboardInterrupt:
            say("stopped: what was measured is in the store; the same command goes on from there")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except SystemExit as stop:
            # Not ours: a signal's handler or code of a model asked for it, and not all is done.
            code = stop.code if isinstance(stop.code, int) and stop.code else EXIT_INCOMPLETE
            reason = f"stopped before the end (exit was asked for: {stop.code})"
            raise _stop(ctx, code, reason, stop) from None
        except Exception as error:
            # typer's own: a misspelt option, --help, the exit code of a command.
            if isinstance(error, typer.Abort) or hasattr(error, "exit_code"):
                raise
            reason = f"{describe_error(error)} ({DEBUG} shows where; please report it)"
            raise _stop(ctx, EXIT_INCOMPLETE, reason, error) from None
        return result


def _stop(ctx: typer.Context, code: int, reason: str, error: BaseException) -> typer.Exit:
    if ctx.params.get("_debug"):
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
    fail(reason)
    return typer.Exit(code)


# By panel, as the list shows them: command, where it is, the first paragraph of its help.
COMMANDS = {
    "Start here": (
        (
            "demo",
            "demo:demo",
            "See the whole method at work: small trained models that come with vlmsel, on "
            "drawn tasks.",
        ),
        (
            "select",
            "select:select",
            "Say which model to use for images of your own, and how far to trust that.",
        ),
        (
            "label",
            "label:label",
            "Label a few images in a local page, which says when to stop; the models answer "
            "meanwhile.",
        ),
        (
            "scores",
            "scores:scores",
            "Score a zoo's features of labelled images: which model to probe or to fine-tune.",
        ),
        (
            "models",
            "models:models",
            "List the models of a zoo; with --blocks, what is known of every open_clip "
            "architecture.",
        ),
        (
            "tasks",
            "tasks:tasks",
            "List the tasks of a catalog, or add one: images, class names and prompt templates.",
        ),
    ),
    "Measure": (
        (
            "measure",
            "measure:measure",
            "Measure several kinds at once: a model is loaded and an image decoded once for "
            "all of them.",
        ),
        (
            "profile",
            "profile:profile",
            "Measure how every model of a zoo works on every task; nothing is measured twice.",
        ),
        (
            "accuracy",
            "accuracy:accuracy",
            "Zero-shot accuracy of every model on every labelled task; no image is answered twice.",
        ),
        (
            "refresh",
            "refresh:refresh",
            "Measure only what changed since the last run, of every kind that the store is for.",
        ),
        (
            "status",
            "status:status",
            "Say what is measured, failed or missing; exits with 1 unless all is measured.",
        ),
        (
            "import",
            "imports:app",
            "Read published tables into a store, to evaluate selectors on them.",
        ),
        (
            "export",
            "exports:app",
            "Write what a store knows as a table: CSV, Parquet or LaTeX, by the file's "
            "suffix. `vlmsel import` reads CSV and Parquet back.",
        ),
        (
            "store",
            "store_upkeep:app",
            "Look after a store: what it holds and who measured it; delete, compact, migrate.",
        ),
    ),
    "Judge": (
        (
            "layers",
            "layers:app",
            "Silence one layer after the other: which tasks it hurts, which it helps, and "
            "whether to keep one silent.",
        ),
        (
            "evaluate",
            "evaluate:evaluate",
            "Judge the selectors: leave every task out once, rank the zoo for it, compare "
            "with the truth.",
        ),
        (
            "sweep",
            "sweep:sweep",
            "Judge the selector dcd at every eta and gamma of a grid, and log the sweep to MLflow.",
        ),
        (
            "study",
            "study:study",
            "Run one experiment, such as: how many images are enough?",
        ),
        (
            "report",
            "report:report",
            "Write one HTML file about what a store knows; it opens offline.",
        ),
    ),
}


class Program(Commands):
    """All commands of vlmsel, each imported when it is called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for panel, commands in COMMANDS.items():
            for name, place, summary in commands:
                self.add_command(LateCommand(name, place, panel=panel, summary=summary))


app = typer.Typer(
    cls=Program,
    help="Pick the best pretrained vision-language model for a task from a few unlabelled images."
    "\n\nStart with `vlmsel demo`; then `vlmsel select FOLDER` for images of your own."
    "\n\nExit codes: 0 everything asked for was done, 1 some of it failed, 2 the input was wrong. "
    "With --json, stdout holds one JSON document, or nothing when the input was wrong; everything "
    "else goes to stderr.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        # Imported here: the list of commands needs no version.
        from importlib.metadata import version

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
    _debug: Annotated[
        bool,
        typer.Option(DEBUG, help="Show where errors came from; also after the command."),
    ] = False,
) -> None:
    if _debug:
        show_tracebacks()


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    show_log_records()
    given = list(args)
    # Understood after the command, too, where one writes it when something went wrong.
    if DEBUG in given[: given.index("--") if "--" in given else None]:
        given.remove(DEBUG)
        given.insert(0, DEBUG)
    try:
        code = app(given, prog_name="vlmsel", standalone_mode=False)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_INCOMPLETE
    except typer.Abort:
        fail("stopped")
        return EXIT_INTERRUPTED
    except Exception as error:
        # The base class of usage errors is private to typer.
        if not hasattr(error, "format_message"):
            raise
        return _refuse_usage(error, given)
    return code if isinstance(code, int) else EXIT_OK


def _refuse_usage(error: Any, given: Sequence[str]) -> int:
    """Say in one line what is misspelt or missing; without a command the help is enough."""
    if type(error).__name__ == "NoArgsIsHelpError":
        # Where rich is at hand, it has printed the help already.
        if text := error.format_message():
            typer.echo(text)
        return EXIT_BAD_INPUT
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else _command_of(given)
    reason = " ".join(error.format_message().split()).rstrip(".")
    fail(f"{command}: {reason[:1].lower()}{reason[1:]} ({command} --help lists what there is)")
    return EXIT_BAD_INPUT


def _command_of(given: Sequence[str]) -> str:
    """Return the command that a line begins with, for an error that does not say."""
    words = next((n for n in (2, 1) if " ".join(given[:n]) in EXAMPLES), 0)
    return " ".join(["vlmsel", *given[:words]])


def main() -> None:
    """Entry point of the ``vlmsel`` command."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot show is no reason to stop.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
