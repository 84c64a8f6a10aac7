"""Selectors from outside: named on the command line or installed, and every way to get it wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.needs import Needs
from vlmsel.selection.plugins import GROUP, register_entry_points
from vlmsel.selection.registry import make_selector, selector_class
from vlmsel.selection.selector import BaseSelector

MODULE = """
import numpy as np
from vlmsel.selection.knowledge import known_models
from vlmsel.selection.selector import BaseSelector, Scorer, Scores


class ByName(BaseSelector):
    name = "by-name"
    reverse: bool = False

    def prepare(self, problem):
        models = tuple(known_models(problem.accuracies, problem.sources))
        sign = -1.0 if self.reverse else 1.0
        return Scorer(models, problem.sources, lambda zoos: Scores(sign * zoos.astype(float)))


class Raising(ByName):
    name = "raising"

    def prepare(self, problem):
        return {}["what\\nis missing"]


class Misshapen(ByName):
    name = "misshapen"

    def prepare(self, problem):
        return Scorer(super().prepare(problem).models, (), lambda zoos: Scores(np.zeros(2)))


class Unprepared(BaseSelector):
    name = "unprepared"


class BadName(ByName):
    name = "Bad Name"


class Dcd(ByName):
    name = "dcd"


class NoSelector:
    pass


value = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of a user's own; another name in each test, since imports are kept."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / f"{name}_broken.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_class_of_ones_own_ranks_like_any_selector(module, problem):
    ranking = make_selector(f"{module}:ByName").rank(problem)
    assert ranking.table["model"].to_list() == list("abcdef")
    reverse = make_selector(f"{module}:ByName", reverse=True).rank(problem)
    assert reverse.table["model"].to_list() == list("fedcba")
    assert selector_class(f"{module}:ByName").needs == Needs()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{}_broken:X", "cannot be imported: ModuleNotFoundError: .*no_such_module_at_all"),
        ("no_such_module:X", "cannot be imported: .*PYTHONPATH"),
        ("{}:Nothing", "has no class 'Nothing'"),
        ("{}:NoSelector", "is no subclass of"),
        ("{}:value", "is no subclass of"),
        ("{}:Unprepared", r"has no method prepare\(problem\)"),
        ("{}:BadName", "its `name` is 'Bad Name'"),
        ("{}:Dcd", "calls itself dcd, as one that exists already"),
        ("{}:", "as module:Class"),
        (":X", "as module:Class"),
        ("../{}:X", "as module:Class"),
        ("os:system('true')", "as module:Class"),
    ],
)
def test_mistakes_are_one_line(module, reference, message):
    with pytest.raises(SelectionError, match=message) as caught:
        make_selector(reference.format(module))
    assert "\n" not in str(caught.value)


def test_what_a_plugin_raises_or_gives_wrongly_is_one_line(module, problem):
    with pytest.raises(SelectionError, match="selector raising raised KeyError: ") as caught:
        make_selector(f"{module}:Raising").rank(problem)
    assert "\n" not in str(caught.value)
    with pytest.raises(SelectionError, match=r"scores of shape \(2,\) for 6 models"):
        make_selector(f"{module}:Misshapen").rank(problem)


def test_an_unknown_option_names_those_there_are(module):
    with pytest.raises(SelectionError, match="unknown option eta; its options are: reverse"):
        make_selector(f"{module}:ByName", eta=1)


def install(folder: Path, module: str, entries: str) -> None:
    """Files that pip leaves of a package with entry points."""
    info = folder / "own_selectors-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-selectors\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entries.format(module)}")


def test_installed_selectors_are_found_and_broken_ones_named(module, tmp_path):
    entries = "by-name = {0}:ByName\nother = {0}:ByName\ngone = {0}:Gone\ndcd = {0}:Dcd\n"
    install(tmp_path, module, entries)
    known: dict[str, type[BaseSelector]] = {"dcd": selector_class("dcd")}
    broken = register_entry_points(known)
    assert set(known) == {"dcd", "by-name"}
    assert known["dcd"] is selector_class("dcd"), "ours stays"
    assert "calls itself by-name; give both one name" in broken["other"]
    assert "has no class 'Gone'" in broken["gone"]
    assert "exists already in" in broken["dcd"]


def test_installed_selectors_are_among_the_names_in_a_fresh_process(module, tmp_path):
    install(tmp_path, module, "by-name = {0}:ByName\ngone = {0}:Gone\n")
    code = (
        "from vlmsel.selection.registry import make_selector, selector_names\n"
        "assert 'by-name' in selector_names() and 'dcd' in selector_names()\n"
        "print(type(make_selector('by-name')).__name__)\n"
        "try: make_selector('gone')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    first, second = done.stdout.splitlines()
    assert first == "ByName"
    assert second.startswith("SelectionError selector ")
    assert "has no class 'Gone'" in second
