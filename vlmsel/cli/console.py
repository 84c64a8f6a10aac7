"""How the command line speaks: tables to people, JSON to programs, progress to stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

# A pipe or a log file has no width; tables of a zoo need about this much.
LOG_WIDTH = 140

stdout = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
stderr = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Write one line for people; it goes to stderr so that ``--json`` output stays clean."""
    stderr.print(escape(text), soft_wrap=True)


def warn(text: str) -> None:
    """Write one line that a person should not miss."""
    stderr.print(f"[yellow]warning:[/yellow] {escape(text)}", soft_wrap=True)


def fail(text: str) -> None:
    """Write the one line that says why a command stopped."""
    stderr.print(f"[red]error:[/red] {escape(text)}", soft_wrap=True)


def emit_json(value: Any) -> None:
    """Write one JSON document to stdout; NaN becomes null, which JSON can hold."""
    sys.stdout.write(json.dumps(_clean(value), indent=2, default=str) + "\n")


def _clean(value: Any) -> Any:
    if isinstance(value, pl.DataFrame):
        return _clean(value.to_dicts())
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, float) and value != value:
        return None
    return value


def show_table(frame: pl.DataFrame, *, title: str, decimals: int = 3) -> None:
    """Print a frame as a table: numbers right-aligned, floats with ``decimals`` digits."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, dtype in frame.schema.items():
        table.add_column(escape(name), justify="right" if dtype.is_numeric() else "left")
    for row in frame.iter_rows():
        table.add_row(*(_cell(value, decimals) for value in row))
    # Printed apart: a table's own title would wrap at the width of a narrow table.
    stdout.print(escape(title), style="bold", soft_wrap=True)
    stdout.print(table)


def _cell(value: Any, decimals: int) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    return f"{value:.{decimals}f}" if isinstance(value, float) else escape(str(value))


@contextmanager
def progress_bar(description: str, total: int) -> Iterator["Ticker"]:
    """Show a bar with the share done and the time left while the body calls ``tick``."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
        transient=True,
    )
    with progress:
        yield Ticker(progress, progress.add_task(description, total=total), total)


class Ticker:
    """Advances a bar; where nobody looks at a terminal it writes a plain line every tenth."""

    def __init__(self, progress: Progress, task: Any, total: int) -> None:
        self._progress, self._task, self._total = progress, task, total
        self._done = 0

    def expect(self, more: int) -> None:
        """There is this much more work than was known before."""
        self._total += more
        self._progress.update(self._task, total=self._total)

    def tick(self, description: str) -> None:
        """One more piece of work is done; ``description`` says which."""
        self._done += 1
        self._progress.update(self._task, advance=1, description=escape(description))
        plain = not stderr.is_terminal
        if (
            plain
            and self._total
            and self._done * 10 // self._total != ((self._done - 1) * 10 // self._total)
        ):
            left = self._progress.tasks[0].time_remaining
            say(
                f"{self._done}/{self._total} {description}"
                + (f", about {left:.0f} s left" if left else "")
            )
