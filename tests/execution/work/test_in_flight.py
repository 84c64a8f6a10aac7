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


def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / FOLDER


def test_the_model_of_a_dead_process_is_suspect_until_a_run_ends(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DIES], check=False)
    assert InFlight().suspects == {"a/x"}
    notes = InFlight()
    assert notes.suspects == {"a/x"}
    notes.begin("b/x")
    notes.forget()
    assert InFlight().suspects == set()
    assert list(folder(tmp_path).iterdir()) == []


def test_the_note_of_a_living_process_says_nothing() -> None:
    notes = InFlight()
    notes.begin("a/x")
    assert InFlight().suspects == set()
    notes.end()


@pytest.mark.parametrize("text", ["", "[" * 100_000, "{}", "[1, null]", "7"])
def test_a_damaged_note_says_nothing_and_goes(tmp_path: Path, text: str) -> None:
    subprocess.run([sys.executable, "-c", DIES], check=False)
    [note] = folder(tmp_path).iterdir()
    note.write_text(text)
    notes = InFlight()
    assert notes.suspects == set()
    notes.forget()
    assert not note.exists()


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    notes = InFlight()
    notes.begin("a/x")
    notes.forget()
