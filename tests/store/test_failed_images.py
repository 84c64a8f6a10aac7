"""Images that failed in measured cells: noted, counted, and forgotten when a retry does better."""

import contextlib
from pathlib import Path

import pytest

from tests.store.cases import SETTINGS, make_cell, make_rows
from vlmsel.store.failed_images import FailedImages
from vlmsel.store.filesystem import open_folder
from vlmsel.store.profiles import ProfileStore


def notes(uri: str) -> dict:
    folder, digest = open_folder(uri), SETTINGS.digest
    return FailedImages(folder).all(digest, ProfileStore(uri).files(digest))


def test_a_cell_with_failed_images_leaves_a_note_and_one_without_none(store_uri: str) -> None:
    store = ProfileStore(store_uri)
    bad, good = make_cell(model="org/M", task="a/b c"), make_cell(model="other")
    store.write(bad, SETTINGS, make_rows(bad, failed=["z", "y"]))
    store.write(good, SETTINGS, make_rows(good))
    assert notes(store_uri) == {bad: (("y", "truncated"), ("z", "truncated"))}
    assert store.failed_in(bad) == notes(store_uri)[bad]
    assert store.failed_in(good) == store.failed_in(make_cell(model="absent")) == ()


def test_measuring_again_replaces_only_if_fewer_images_fail(store_uri: str) -> None:
    store, cell = ProfileStore(store_uri), make_cell()
    store.write(cell, SETTINGS, make_rows(cell, failed=["y", "z"]))
    first = store.scan()
    worse = make_rows(cell, scale=2.0, failed=["x", "y", "z"])
    for rows, replace in ((worse, True), (make_rows(cell, scale=2.0), False)):
        store.write(cell, SETTINGS, rows, replace=replace)
        assert store.scan().equals(first)
        assert len(notes(store_uri)[cell]) == 2
    store.write(cell, SETTINGS, make_rows(cell, scale=2.0, failed=["z"]), replace=True)
    assert notes(store_uri) == {cell: (("z", "truncated"),)}
    store.write(cell, SETTINGS, make_rows(cell, scale=3.0), replace=True)
    assert notes(store_uri) == {}
    assert store.scan()["conductance"].max() == 9.0
    assert len([p for p in open_folder(store_uri).files("profiles") if "@" in p]) == 1


@pytest.mark.parametrize("again", [False, True])
def test_killed_in_between_the_note_never_says_too_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    store, cell = ProfileStore(tmp_path), make_cell()
    rows = make_rows(cell, failed=["z"])
    if again:
        store.write(cell, SETTINGS, make_rows(cell, failed=["y", "z"]))
    done: list[int] = []

    class Killed(Exception):  # noqa: N818
        pass

    def stops_at(step: int, name: str):
        real = getattr(type(open_folder(tmp_path)), name)

        def call(self: object, path: str, *args: bytes) -> None:
            if path.startswith(("profiles", "failed-images")) and "settings.json" not in path:
                done.append(step)
                if len(done) > step:
                    raise Killed
            real(self, path, *args)

        return call

    for step in range(4):
        done.clear()
        with monkeypatch.context() as patch:
            for name in ("write_atomic", "delete"):
                patch.setattr(type(open_folder(tmp_path)), name, stops_at(step, name))
            with contextlib.suppress(Killed):
                store.write(cell, SETTINGS, rows, replace=again)
        if store.has(cell):
            in_rows = {i for *_, i, _ in store.failed_images().rows()}
            assert in_rows <= {i for i, _ in notes(str(tmp_path))[cell]}
    assert store.has(cell)


@pytest.mark.parametrize("first", [["z"], []])
def test_two_writers_of_a_new_cell_each_have_a_note_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: list[str]
) -> None:
    one, other, cell = ProfileStore(tmp_path), ProfileStore(tmp_path), make_cell()
    second = [] if first else ["z"]
    real = type(open_folder(tmp_path)).write_atomic
    met: list[str] = []

    def write_atomic(self: object, path: str, data: bytes) -> None:
        if "settings.json" not in path and not met:
            met.append(path)
            # The first one has looked and found nothing; now the second one does all.
            other.write(cell, SETTINGS, make_rows(cell, failed=second))
        real(self, path, data)

    with monkeypatch.context() as patch:
        patch.setattr(type(open_folder(tmp_path)), "write_atomic", write_atomic)
        one.write(cell, SETTINGS, make_rows(cell, failed=first))
    assert len([p for p in open_folder(tmp_path).files("profiles") if "@" in p]) == 2
    in_rows = {i for *_, i, _ in one.failed_images().rows()}
    assert len(one.files(SETTINGS.digest)) == 1
    assert {i for i, _ in one.failed_in(cell)} == in_rows
    assert {i for i, _ in notes(str(tmp_path)).get(cell, ())} == in_rows


def test_a_reader_lists_again_when_a_retry_replaced_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, cell = ProfileStore(tmp_path), make_cell()
    store.write(cell, SETTINGS, make_rows(cell, failed=["z"]))
    real = type(open_folder(tmp_path)).read
    replaced: list[str] = []

    def read(self: object, path: str) -> bytes:
        if path.endswith(".parquet") and not replaced:
            replaced.append(path)
            store.write(cell, SETTINGS, make_rows(cell, scale=2.0), replace=True)
        return real(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(type(open_folder(tmp_path)), "read", read)
        assert store.scan()["conductance"].max() == 6.0
    assert replaced


def test_a_damaged_note_stops_nothing_and_a_retry_mends_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, cell = ProfileStore(tmp_path), make_cell()
    store.write(cell, SETTINGS, make_rows(cell, failed=["z"]))
    (note,) = (tmp_path / "failed-images").rglob("*.json")
    note.write_text("{")
    [(image, reason)] = notes(str(tmp_path))[cell]
    assert (image, "is damaged: `--retry-failed`" in reason) == ("unknown", True)
    assert str(tmp_path) in caplog.text
    store.write(cell, SETTINGS, make_rows(cell), replace=True)
    assert notes(str(tmp_path)) == {}
