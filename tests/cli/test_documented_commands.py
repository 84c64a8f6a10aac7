"""Command lines of the documentation: every `vlmsel ...` of a shell block parses."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from vlmsel.cli.app import app
from vlmsel.cli.late_command import LateCommand

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SHELL = ("", "bash", "sh")
program = typer.main.get_command(app)


def commands(text: str) -> Iterator[list[str]]:
    """The words after `vlmsel` of every command line in a page's shell blocks."""
    for language, block in BLOCK.findall(text):
        if language not in SHELL:
            continue
        for line in re.sub(r"\\\n", " ", block).splitlines():
            words = shlex.split(line, comments=True) if " vlmsel " in f" {line}" else []
            words = [word for word in words if not re.fullmatch(r"[A-Z_]+=\S*", word)]
            if words and words[0].removeprefix(".venv/bin/") == "vlmsel":
                yield words[1:]


def parse(words: list[str]) -> None:
    """Find a command and parse its options, without a look at their values."""
    command, context = program, program.context_class(program, info_name="vlmsel")
    while isinstance(command, TyperGroup):
        name, words = words[0], words[1:]
        command = command.get_command(context, name)
        assert command is not None, f"no command {name}"
        if isinstance(command, LateCommand):
            command = command.loaded
        context = command.context_class(command, parent=context, info_name=name)
    command.make_parser(context).parse_args(args=list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_parses(page):
    for words in commands(page.read_text(encoding="utf-8")):
        parse(words)


def test_the_pages_have_command_lines():
    assert len(list(commands((ROOT / "README.md").read_text(encoding="utf-8")))) == 10


def test_a_stale_command_line_is_found():
    with pytest.raises(Exception, match="No such option"):
        parse(["select", "FOLDER", "--no-such-option"])
    with pytest.raises(AssertionError, match="no command"):
        parse(["profiles"])
