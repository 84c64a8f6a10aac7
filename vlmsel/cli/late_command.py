"""A command whose module is imported when it is called: the list of commands needs none of them."""

from functools import cached_property
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

from vlmsel.cli.examples import EXAMPLES


class LateCommand(TyperCommand):
    """Stands for a command, or a group of some, in the list of commands.

    Args:
        name: on the command line.
        place: module and attribute below `vlmsel.cli.commands`, such as ``demo:demo``: a function,
            or the `typer.Typer` of a group.
        panel: heading of the list that it stands under.
        summary: first paragraph of its help, which the list shows.
    """

    def __init__(self, name: str, place: str, *, panel: str, summary: str) -> None:
        super().__init__(name, help=summary, rich_help_panel=panel)
        self.place = place

    @cached_property
    def loaded(self) -> Any:
        """The command itself, with all its options."""
        module, _, attribute = self.place.partition(":")
        found = getattr(import_module(f"vlmsel.cli.commands.{module}"), attribute)
        if isinstance(found, typer.Typer):
            command = get_group(found)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(self.name)(found)
            command = get_command(alone)
        command.name = self.name
        _add_examples(command, self.name or "")
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Hand what was typed to the command itself, which also explains itself."""
        return self.loaded.make_context(*args, **kwargs)


def _add_examples(command: Any, words: str) -> None:
    """Show the example of a command, and of those below it, at the end of its help."""
    command.epilog = f"Example: vlmsel {EXAMPLES[words]}"
    for name, below in getattr(command, "commands", {}).items():
        _add_examples(below, f"{words} {name}")
