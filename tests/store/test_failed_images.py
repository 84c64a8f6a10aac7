"""Images that failed in measured cells: noted, counted, and forgotten when a retry does better."""

import contextlib
from pathlib import Path

import polars as pl
import pytest

from tests.store.cases import PROFILE, make_cell, make_predictions, make_rows
from vlmsel.measurements import Prediction
from vlmsel.store import Scan, Store
from vlmsel.store.filesystem import open_folder


def notes(uri: str) -> dict:
    store = Store(uri)
    return store.failed_images(store.cells("profile", PROFILE.digest))


def scan(store: Store) -> Scan:
    return store.scan(store.cells("profile", PROFILE.digest))


def lost(store: Store) -> set[str]:
    """Images that the rows say failed."""
    return set(scan(store).rows.filter(pl.col("reason").is_not_null())["image_id"])


def test_a_cell_with_failed_images_leaves_a_note_and_one_without_none(store_uri: str) -> None:
    store = Store(store_uri)
    bad, good = make_cell(model="org/M", task="a/b c"), make_cell(model="other")
    store.write(bad, PROFILE, make_rows(bad, failed=["z", "y"]))
    store.write(good, PROFILE, make_rows(good))
    assert notes(store_uri) == {bad: (("y", "truncated"), ("z", "truncated"))}
    assert store.failed_in(bad) == notes(store_uri)[bad]
    assert store.failed_in(good) == store.failed_in(make_cell(model="absent")) == ()


def test_measuring_again_replaces_only_if_fewer_images_fail(store_uri: str) -> None:
    store, cell = Store(store_uri), make_cell()
    store.write(cell, PROFILE, make_rows(cell, failed=["y", "z"]))
    first = scan(store).rows
    worse = make_rows(cell, scale=2.0, failed=["x", "y", "z"])
    for rows, replace in ((worse, True), (make_rows(cell, scale=2.0), False)):
        store.write(cell, PROFILE, rows, replace=replace)
        assert scan(store).rows.equals(first)
        assert len(notes(store_uri)[cell]) == 2
    store.write(cell, PROFILE, make_rows(cell, scale=2.0, failed=["z"]), replace=True)
    assert notes(store_uri) == {cell: (("z", "truncated"),)}
    store.write(cell, PROFILE, make_rows(cell, scale=3.0), replace=True)
    assert notes(store_uri) == {}
    assert scan(store).measured["conductance"].max() == 9.0
    assert len([p for p in open_folder(store_uri).files("profile") if "@" in p]) == 1


@pytest.mark.parametrize("again", [False, True])
def test_killed_in_between_the_note_never_says_too_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    store, cell = Store(tmp_path), make_cell()
    rows = make_rows(cell, failed=["z"])
    if again:
        store.write(cell, PROFILE, make_rows(cell, failed=["y", "z"]))
    done: list[int] = []

    class Killed(Exception):  # noqa: N818
        pass

    def stops_at(step: int, name: str):
        real = getattr(type(open_folder(tmp_path)), name)

        def call(self: object, path: str, *args: bytes) -> None:
            if path.startswith(("profile", "failed-images")) and "settings.json" not in path:
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
                store.write(cell, PROFILE, rows, replace=again)
        if store.has(cell):
            assert lost(store) <= {i for i, _ in notes(str(tmp_path))[cell]}
    assert store.has(cell)


@pytest.mark.parametrize("first", [["z"], []])
def test_two_writers_of_a_new_cell_each_have_a_note_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: list[str]
) -> None:
    writer, reader, cell = Store(tmp_path), Store(tmp_path), make_cell()
    second = [] if first else ["z"]
    real = type(open_folder(tmp_path)).write_atomic
    met: list[str] = []

    def write_atomic(self: object, path: str, data: bytes) -> None:
        if "settings.json" not in path and not met:
            met.append(path)
            # The first one has looked and found nothing; now the second one does all.
            reader.write(cell, PROFILE, make_rows(cell, failed=second))
        real(self, path, data)

    with monkeypatch.context() as patch:
        patch.setattr(type(open_folder(tmp_path)), "write_atomic", write_atomic)
        writer.write(cell, PROFILE, make_rows(cell, failed=first))
    assert len([p for p in open_folder(tmp_path).files("profile") if "@" in p]) == 2
    in_rows = lost(writer)
    assert len(writer.cells("profile", PROFILE.digest)) == 1
    assert {i for i, _ in writer.failed_in(cell)} == in_rows
    assert {i for i, _ in notes(str(tmp_path)).get(cell, ())} == in_rows


def test_a_reader_lists_again_when_a_retry_replaced_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, cell = Store(tmp_path), make_cell()
    store.write(cell, PROFILE, make_rows(cell, failed=["z"]))
    real = type(open_folder(tmp_path)).read
    replaced: list[str] = []

    def read(self: object, path: str) -> bytes:
        if path.endswith(".parquet") and not replaced:
            replaced.append(path)
            store.write(cell, PROFILE, make_rows(cell, scale=2.0), replace=True)
        return real(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(type(open_folder(tmp_path)), "read", read)
        assert scan(store).measured["conductance"].max() == 6.0
    assert replaced


def test_a_damaged_note_stops_nothing_and_a_retry_mends_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, cell = Store(tmp_path), make_cell()
    store.write(cell, PROFILE, make_rows(cell, failed=["z"]))
    (note,) = (tmp_path / "failed-images").rglob("*.json")
    note.write_text("{")
    [(image, reason)] = notes(str(tmp_path))[cell]
    assert (image, "is damaged: `--retry-failed`" in reason) == ("unknown", True)
    assert str(tmp_path) in caplog.text
    store.write(cell, PROFILE, make_rows(cell), replace=True)
    assert notes(str(tmp_path)) == {}


def test_notes_of_one_kind_are_not_read_for_another(tmp_path: Path) -> None:
    store, prediction = Store(tmp_path), Prediction()
    profile, answers = make_cell(), make_cell(measurement=prediction)
    store.write(profile, PROFILE, make_rows(profile, failed=["y"]))
    store.write(answers, prediction, make_predictions(answers, failed=["y", "z"]))
    assert notes(str(tmp_path)) == {profile: (("y", "truncated"),)}
    files = store.cells("prediction", prediction.digest)
    images = (("y", "truncated"), ("z", "truncated"))
    assert store.failed_images(files) == {answers: images}
    assert store.failed_in(answers) == images
