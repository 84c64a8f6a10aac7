"""A process that is dead for sure is told from one that may live; tested with a real kill -9."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vlmsel.store import owners
from vlmsel.store.filesystem import open_folder
from vlmsel.store.local import DEAD_AFTER_S
from vlmsel.store.owners import is_dead, this_process

# Stops in the middle of a write, after the bytes and before the rename.
STUCK = """
import os, sys, time
from vlmsel.store.filesystem import open_folder
from vlmsel.store.owners import this_process
def stuck(_):
    print(this_process(), flush=True)
    time.sleep(600)
os.fsync = stuck
open_folder(sys.argv[1]).write_atomic("profiles/d/m@x/file", b"half")
"""


@pytest.fixture
def stuck(tmp_path: Path):
    command = [sys.executable, "-c", STUCK, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        owner = process.stdout.readline().strip()
        yield process, owner
        process.kill()


def leftovers(folder: Path) -> list[Path]:
    return sorted(folder.rglob(".*.tmp"))


def test_a_killed_write_is_cleaned_and_a_living_one_is_not(stuck, tmp_path: Path) -> None:
    process, owner = stuck
    (left,) = leftovers(tmp_path)
    assert owner in left.name
    assert not is_dead(owner)
    assert open_folder(tmp_path).clean() == 0
    process.kill()
    process.wait()
    assert is_dead(owner)
    assert open_folder(tmp_path).files("profiles") == []
    assert open_folder(tmp_path).clean() == 1
    assert leftovers(tmp_path) == []


def test_leftovers_of_elsewhere_go_after_a_day(tmp_path: Path) -> None:
    old, new = tmp_path / "a" / ".other-host.tmp", tmp_path / "a" / ".0123456789ab-1-1.ff.tmp"
    kept = tmp_path / "a" / "whole.parquet"
    (tmp_path / "a").mkdir()
    for path in (old, new, kept):
        path.write_bytes(b"x")
        os.utime(path, (time.time(), time.time() - DEAD_AFTER_S - 60))
    os.utime(new)
    assert open_folder(tmp_path).clean() == 1
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [new.name, kept.name]


def test_a_number_that_another_process_has_by_now_is_of_a_dead_one() -> None:
    place, pid, started = this_process().split("-")
    assert not is_dead(this_process())
    assert is_dead(f"{place}-{pid}-{int(started) - 1}")
    assert not is_dead(f"{place}-{pid}-0"), "a system that tells no start"


def test_of_another_machine_or_container_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "_place", lambda: "0" * 12)
    elsewhere = this_process()
    monkeypatch.undo()
    assert not is_dead(elsewhere)
    assert not is_dead("no owner at all")
