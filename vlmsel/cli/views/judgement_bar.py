"""Progress of a leave-one-out: a bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from vlmsel.cli.views.console import say, stderr
from vlmsel.evaluation.judgement_progress import observe_judging

WORDS = "leave-one-out of the known tasks"
# A leave-one-out of a few dozen tasks is over sooner; nobody needs to read of it.
LINE_EVERY_S = 10.0


@contextmanager
def judging_bar(clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Show how many tasks are judged in the body; nothing where all is in the cache."""
    bar = Progress(
        SpinnerColumn(),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn(WORDS, markup=False),
        console=stderr,
        disable=not stderr.is_terminal,
        transient=True,
    )
    task = bar.add_task(WORDS, total=None, visible=False)
    last_line_s: float | None = None

    def show(done: int, targets: int) -> None:
        nonlocal last_line_s
        bar.update(task, completed=done, total=targets, visible=True)
        # Other work may have come before the first task.
        last_line_s = clock() if last_line_s is None else last_line_s
        if bar.disable and clock() - last_line_s >= LINE_EVERY_S:
            last_line_s = clock()
            say(f"{WORDS}: {done}/{targets}")

    with bar, observe_judging(show):
        yield
