"""A process that is dead for sure is told from one that may live; tested with a real kill -9."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vlmsel.store import owners
from vlmsel.store.filesystem import open_folder
from vlmsel.store.local_folder import DEAD_AFTER_S
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
    (leftover,) = leftovers(tmp_path)
    assert owner in leftover.name
    assert not is_dead(owner)
    assert open_folder(tmp_path).clean(["profiles"]) == 0
    process.kill()
    process.wait()
    assert is_dead(owner)
    assert open_folder(tmp_path).files("profiles") == []
    assert open_folder(tmp_path).clean(["accuracies", "not-there"]) == 0
    assert open_folder(tmp_path).clean(["profiles"]) == 1
    assert leftovers(tmp_path) == []


def test_leftovers_of_elsewhere_go_after_a_day(tmp_path: Path) -> None:
    names = [".0123456789ab-1-1.0123456789abcdef.tmp", ".0123456789ab-1-2.0123456789abcdef.tmp"]
    others = [".mydraft.tmp", "whole.parquet"]
    (tmp_path / "a").mkdir()
    for name in names + others:
        path = tmp_path / "a" / name
        path.write_bytes(b"x")
        os.utime(path, (time.time(), time.time() - DEAD_AFTER_S - 60))
    os.utime(tmp_path / "a" / names[1])
    assert open_folder(tmp_path).clean(["a"]) == 1
    assert {path.name for path in (tmp_path / "a").iterdir()} == {names[1], *others}


def test_a_leftover_that_may_not_be_deleted_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = tmp_path / "a" / ".0123456789ab-1-1.0123456789abcdef.tmp"
    leftover.parent.mkdir()
    leftover.write_bytes(b"x")
    os.utime(leftover, (0, 0))

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "unlink", refuse)
    assert open_folder(tmp_path).clean(["a"]) == 0


def test_a_number_that_another_process_has_by_now_is_of_a_dead_one() -> None:
    place, pid, started = this_process().split("-")
    assert not is_dead(this_process())
    assert is_dead(f"{place}-{pid}-{int(started) + 1}") == (started != "0")
    assert not is_dead(f"{place}-{pid}-0"), "a system that tells no start"


def test_of_another_machine_or_container_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "_place", lambda: "0" * 12)
    elsewhere = this_process()
    monkeypatch.undo()
    assert not is_dead(elsewhere)
    assert not is_dead("no owner at all")


def test_where_the_system_does_not_name_itself_nothing_is_sure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_such_file(*_: object) -> str:
        raise FileNotFoundError(2, "No such file")

    monkeypatch.setattr(os, "readlink", no_such_file)
    places = [owners._place.__wrapped__() for _ in range(2)]
    assert places[0] != places[1], (
        "two machines of one name must not take each other for themselves"
    )
