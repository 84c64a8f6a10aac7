import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vlmsel.execution.work.in_flight import FOLDER, InFlight

DIES = """
import os
from vlmsel.execution.work.in_flight import InFlight
InFlight().begin("a/x")
os._exit(9)
"""


@pytest.fixture(scope="module")
def dead_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of a process that died at a model."""
    cache = tmp_path_factory.mktemp("dead")
    here = os.environ | {"VLMSEL_CACHE": str(cache)}
    assert subprocess.run([sys.executable, "-c", DIES], env=here, check=False).returncode == 9
    return cache


@pytest.fixture
def dead_note(dead_cache: Path, tmp_path: Path) -> Path:
    """The note that the dead process left, in the cache of the test."""
    shutil.copytree(dead_cache / FOLDER, folder(tmp_path))
    [note] = folder(tmp_path).iterdir()
    return note


def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / FOLDER


def test_the_model_of_a_dead_process_is_suspect_until_a_run_ends(dead_note: Path) -> None:
    assert InFlight().suspects == {"a/x"}
    notes = InFlight()
    assert notes.suspects == {"a/x"}
    notes.begin("b/x")
    notes.forget()
    assert InFlight().suspects == set()
    assert list(dead_note.parent.iterdir()) == []


def test_the_note_of_a_living_process_says_nothing() -> None:
    notes = InFlight()
    notes.begin("a/x")
    assert InFlight().suspects == set()
    notes.end()


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, "{}", "[1, null]", "7"],
    ids=["empty", "deep", "map", "mixed", "number"],
)
def test_a_damaged_note_says_nothing_and_goes(dead_note: Path, text: str) -> None:
    dead_note.write_text(text)
    notes = InFlight()
    assert notes.suspects == set()
    notes.forget()
    assert not dead_note.exists()


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    notes = InFlight()
    notes.begin("a/x")
    notes.forget()
