import os
import shlex
from typing import Annotated

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from tests.cli.test_documented_commands import parse
from tests.warm_processes import WarmProcess, run_command
from vlmsel.cli.app import Commands, app, run
from vlmsel.cli.examples import EXAMPLES
from vlmsel.cli.late_command import LateCommand
from vlmsel.errors import StoreError


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StoreError("store x\nis gone"), 2, "error: store x is gone\n"),
        (PermissionError(13, "Permission denied", "/root/x"), 2, "error: /root/x: Permission"),
        (KeyboardInterrupt(), 130, "stopped: what was measured is in the store"),
        (typer.Exit(1), 1, ""),
        # Of a signal's handler, or of a model's code: never success.
        (SystemExit(0), 1, "error: stopped before the end"),
        (SystemExit(None), 1, "error: stopped before the end"),
        (SystemExit(15), 15, "error: stopped before the end"),
    ],
)
def test_errors_become_a_line_and_an_exit_code(error, code, said):
    broken = typer.Typer(cls=Commands)

    @broken.callback()
    def _options() -> None: ...

    @broken.command()
    def fail() -> None:
        raise error

    result = CliRunner().invoke(broken, ["fail"])
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith(said)


@pytest.mark.parametrize("given", [[], ["--debug"]])
def test_what_no_rule_knows_is_one_line_and_debug_shows_where(given):
    broken = typer.Typer(cls=Commands)

    @broken.callback()
    def _options(_debug: Annotated[bool, typer.Option("--debug")] = False) -> None: ...

    @broken.command()
    def fail() -> None:
        raise ZeroDivisionError("at https://me:secretword@host")

    result = CliRunner().invoke(broken, [*given, "fail"])
    assert result.exit_code == 1
    assert ("Traceback" in result.stderr) == bool(given)
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ZeroDivisionError: at https://***@host (--debug shows where")
    assert "secretword" not in result.stderr


def test_debug_is_understood_after_the_command(tmp_path, capsys):
    assert run(["tasks", "--tasks", str(tmp_path / "none.yaml"), "--debug"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].endswith("none.yaml does not exist")


COMMANDS: dict[str, LateCommand] = get_command(app).commands


def names() -> list[list[str]]:
    inner = {name: getattr(late.loaded, "commands", {}) for name, late in COMMANDS.items()}
    return [[name, *rest] for name, own in inner.items() for rest in ([], *([one] for one in own))]


@pytest.mark.parametrize("late", COMMANDS.values(), ids=COMMANDS)
def test_the_list_says_what_the_command_says(late):
    """The list is made without importing the commands."""
    assert late.help == " ".join(late.loaded.help.split("\n\n")[0].split())
    assert late.loaded.name == late.name


def test_the_list_of_commands_explains_itself(capsys):
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert "Usage: vlmsel" in said
    assert "--help" in said


def test_all_promised_commands_are_there():
    measuring = "measure profile accuracy refresh status import"
    promised = f"demo models tasks {measuring} select evaluate sweep study report"
    assert set(promised.split()) <= {command[0] for command in names()}


def test_the_version_is_that_of_the_package(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("vlmsel ")


def test_a_command_that_does_not_exist_is_a_usage_error(capsys):
    assert run(["selct"]) == 2
    assert "selct" in capsys.readouterr().err


@pytest.mark.parametrize("command", names(), ids=" ".join)
def test_every_command_explains_itself_with_an_example_that_parses(command, capsys):
    parse(shlex.split(EXAMPLES[" ".join(command)]))
    assert run([*command, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Usage: vlmsel" in said
    assert "--help" in said
    assert f"Example: vlmsel {command[0]}" in said


def test_no_example_is_of_a_command_that_is_not_there():
    assert EXAMPLES.keys() == {" ".join(command) for command in names()}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("select", "vlmsel select: missing argument 'FOLDER' (vlmsel select --help lists"),
        ("select x --foo", "vlmsel select: no such option: --foo"),
        ("selct", "vlmsel: no such command 'selct'"),
        ("layers adapt", "vlmsel layers adapt: missing option '--model'"),
        ("evaluate --selector", "vlmsel evaluate: option '--selector' requires an argument"),
        ("layers vectors --tower", "vlmsel layers vectors: option '--tower' requires an argument"),
    ],
)
def test_a_usage_error_is_one_line(words, reason, capsys):
    assert run(words.split()) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {reason}")
    assert captured.err.count("\n") == 1
    assert not captured.out


@pytest.mark.parametrize("words", ["", "import"])
def test_without_a_command_the_help_is_shown_once(words, capsys):
    assert run(words.split()) == 2
    assert capsys.readouterr().out.count("Usage: vlmsel") == 1


@pytest.mark.parametrize(
    ("typed", "completed"), [("vlmsel sel", "select"), ("vlmsel select --lab", "--labels")]
)
def test_the_shell_completes_commands_and_options(typed, completed):
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    environment = os.environ | {"_VLMSEL_COMPLETE": "complete_bash"} | asked
    out, _ = WarmProcess(run_command, [], environment=environment).communicate()
    assert completed in out.splitlines()
