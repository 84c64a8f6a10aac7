"""Progress through a list of known length: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vlmsel.cli.views.console import say, stderr

Item = TypeVar("Item")


def count_progress(
    items: Iterable[Item], total: int, label: Callable[[Item], str]
) -> Iterator[Item]:
    """The items as they come, and on stderr how many of `total` there were.

    Args:
        items: what is passed on.
        total: how many there will be.
        label: what stands beside the count; called with the item that came last.
    """
    bar = Progress(
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=stderr,
        disable=not stderr.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=total)
        for number, item in enumerate(items, start=1):
            bar.update(task, completed=number, description=escape(label(item)))
            if bar.disable and number * 10 // total != (number - 1) * 10 // total:
                say(f"{number}/{total} {label(item)}")
            yield item
