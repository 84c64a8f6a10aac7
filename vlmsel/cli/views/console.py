"""Output of the command line: tables for people, JSON for programs, all else on stderr."""

import json
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vlmsel.outside_names import shown
from vlmsel.redaction import redact

if TYPE_CHECKING:
    from polars import DataFrame

# A pipe or a log file has no width; tables of a zoo need about this much.
LOG_WIDTH = 140
# Between two columns of a table.
GAP = 2
# What these say is in the summary that ends every run.
SAID_IN_SUMMARY = ("vlmsel.evidence.catalog_contents", "vlmsel.execution.work.worker")

# They log the traceback of what fails one thing of many.
TRACED = (
    "vlmsel.evidence.catalog_contents",
    "vlmsel.execution.work.decoded_images",
    "vlmsel.execution.work.worker",
    "vlmsel.tasks.index",
)


class Screen(Console):
    """A console that leaves a closed pipe to its caller; rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        """Called within the handling of a BrokenPipeError."""
        raise BrokenPipeError


# Names may hold what rich takes for a code of a picture, as :100: and :fire:.
stdout = Screen(highlight=False, emoji=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
stderr = Screen(stderr=True, highlight=False, emoji=False)


def say(text: str) -> None:
    """Write one line for people; it goes to stderr so that ``--json`` output stays clean."""
    stderr.print(_plain(redact(text)), soft_wrap=True)


def warn(text: str) -> None:
    """Write one line that a person should not miss."""
    stderr.print(f"[yellow]warning:[/yellow] {_plain(redact(text))}", soft_wrap=True)


def warn_of_some(lines: Sequence[str], most: int, what: str = "") -> None:
    """Warn of the first `most`, and count the rest, which --json lists."""
    for line in lines[:most]:
        warn(line)
    if len(lines) > most:
        warn(f"... and {len(lines) - most} more{what}; --json lists all")


def fail(text: str) -> None:
    """Write the one line that says why a command stopped."""
    stderr.print(f"[red]error:[/red] {_plain(redact(text))}", soft_wrap=True)


def note(text: str) -> None:
    """Write a line that explains a table on stdout, less loud than the table."""
    stdout.print(_plain(redact(text)), style="dim", soft_wrap=True)


def tell(text: str) -> None:
    """Write one line of a result to stdout."""
    stdout.print(_plain(redact(text)), soft_wrap=True)


def _plain(text: str) -> str:
    """Text as it is, on one line: no markup, no control characters."""
    return escape(shown(text))


def show_log_records() -> None:
    """Show this package's log records as warnings; calling it twice changes nothing."""
    logger = logging.getLogger("vlmsel")
    if not any(isinstance(handler, _Warnings) for handler in logger.handlers):
        logger.addHandler(_Warnings(logging.WARNING))


def show_tracebacks() -> None:
    """Show where errors came from that end one picture, cell, task or model only."""
    for name in TRACED:
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        if not any(isinstance(handler, _Tracebacks) for handler in logger.handlers):
            logger.addHandler(_Tracebacks())


class _Tracebacks(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            sys.stderr.write(redact(logging.Formatter().formatException(record.exc_info)) + "\n")


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # Imported when there is something to say: the list of commands says nothing.
        from vlmsel.execution.work.logs import logs_json_lines

        if record.name not in SAID_IN_SUMMARY and not logs_json_lines():
            warn(" ".join(record.getMessage().split()))


def emit_json(value: Any) -> None:
    """Write one JSON document to stdout, without credentials.

    NaN and infinity become null, which JSON can hold.
    """
    sys.stdout.write(json.dumps(_clean(value), indent=2, default=str) + "\n")


def _clean(value: Any) -> Any:
    from polars import DataFrame

    if isinstance(value, DataFrame):
        return _clean(value.to_dicts())
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, str | Path):
        return redact(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def show_table(frame: "DataFrame", *, title: str, decimals: int = 3) -> None:
    """Print a frame as a table: numbers right-aligned, floats with ``decimals`` digits."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, dtype in frame.schema.items():
        # Folded, not cut: half a model's name is of no use.
        side = "right" if dtype.is_numeric() else "left"
        table.add_column(_plain(name), justify=side, overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*(_cell(value, decimals) for value in row))
    # Printed apart: a table's own title would wrap at the width of a narrow table.
    stdout.print(_plain(redact(title)), style="bold", soft_wrap=True)
    stdout.print(table)


def table_width(frame: "DataFrame", *, decimals: int = 3) -> int:
    """Columns of the terminal that `show_table` takes where nothing is folded."""
    widths = (
        max(len(name), *(len(_cell(value, decimals)) for value in frame[name]), 0)
        for name in frame.columns
    )
    return 1 + sum(width + GAP for width in widths)


def _cell(value: Any, decimals: int) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.{decimals}f}" if isinstance(value, float) else _plain(redact(value))
