"""Images that failed in measured cells: noted, counted, and forgotten when a retry does better."""

import contextlib
from pathlib import Path

import pytest

from tests.store.cases import SETTINGS, make_cell, make_rows
from vlmsel.errors import StoreError
from vlmsel.store.failed_images import FailedImages
from vlmsel.store.filesystem import open_folder
from vlmsel.store.profiles import ProfileStore


def notes(uri: str) -> dict:
    return FailedImages(open_folder(uri)).all(SETTINGS.digest)


def test_a_cell_with_failed_images_leaves_a_note_and_one_without_none(store_uri: str) -> None:
    store = ProfileStore(store_uri)
    bad, good = make_cell(model="org/M", task="a/b c"), make_cell(model="other")
    store.write(bad, SETTINGS, make_rows(bad, failed=["z", "y"]))
    store.write(good, SETTINGS, make_rows(good))
    assert notes(store_uri) == {bad: (("y", "truncated"), ("z", "truncated"))}
    assert FailedImages(open_folder(store_uri)).of(bad) == notes(store_uri)[bad]
    assert FailedImages(open_folder(store_uri)).of(good) == ()


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


def test_a_damaged_note_is_named(tmp_path: Path) -> None:
    store, cell = ProfileStore(tmp_path), make_cell()
    store.write(cell, SETTINGS, make_rows(cell, failed=["z"]))
    (note,) = (tmp_path / "failed-images").rglob("*.json")
    note.write_text("{")
    with pytest.raises(StoreError, match=f"{note} is damaged: delete it"):
        notes(str(tmp_path))
