"""Compacted cells are the same cells to every reader, and a kill loses none."""

import pickle
from pathlib import Path

import pytest

from tests.store.cases import PROFILE, make_cell, make_rows
from vlmsel.errors import StoreError
from vlmsel.store import Store
from vlmsel.store.compaction import compact_settings
from vlmsel.store.local_folder import LocalFolder
from vlmsel.store.packs import is_of_a_pack

ARGS = (PROFILE.kind, PROFILE.digest)
IMAGES = [("a", "b"), ("c",), ("d", "e"), ("f",)]


def fill(store, models=("RN50", "ViT"), failed=("f",)):
    """Cells of every model, one with a failed image."""
    cells = []
    for model in models:
        for number, images in enumerate(IMAGES):
            cell = make_cell(model=model, images=images)
            lost = [image for image in images if image in failed]
            kept = [image for image in images if image not in failed] or ["g"]
            store.write(cell, PROFILE, make_rows(cell, kept, scale=number + 1.0, failed=lost))
            cells.append(cell)
    return cells


def look(store, columns=None):
    """All that a reader can see."""
    files = store.cells(*ARGS)
    scan = store.scan(files, kind="profile", columns=columns)
    keys = [name for name in ("model", "image_id", "block") if name in scan.rows.columns]
    return (
        files,
        scan.rows.sort(keys),
        scan.corrupt,
        store.failed_images(files),
        {cell: store.failed_in(cell) for cell in files},
        {cell: store.folder.modified(path) for cell, path in files.items()},
    )


def same(first, second):
    return all(
        a.equals(b) if hasattr(a, "equals") else a == b for a, b in zip(first, second, strict=True)
    )


def compact(store, is_finished=lambda cell: True, **options):
    return compact_settings(store.folder, *ARGS, is_finished, **options)


def on_disk(store):
    return sorted(path for path in store.folder.files_below.files("profile"))


def test_readers_see_no_difference(store_uri):
    store = Store(store_uri)
    cells = fill(store)
    before = look(store)
    done = compact(store)
    assert (done.n_cells, done.n_packs, done.n_deleted, done.corrupt) == (8, 2, 8, ())
    for opened in (store, Store(store_uri), pickle.loads(pickle.dumps(store))):
        assert same(look(opened), before)
        assert same(look(opened, ["model", "image_id"])[1:], look(store, ["model", "image_id"])[1:])
        assert all(opened.has(cell) for cell in cells)
        assert opened.verify(*ARGS) == []
    # Two folders with settings, a pack and an index each.
    assert len(on_disk(store)) == 5
    assert compact(store).n_packs == 0


def test_a_part_is_read_as_before(store_uri):
    store = Store(store_uri)
    cells = fill(store)[1:3]
    before = store.scan(store.cells(*ARGS, among=cells)).rows
    compact(store)
    after = store.scan(store.cells(*ARGS, among=cells)).rows
    assert after.sort("image_id", "block").equals(before.sort("image_id", "block"))


def test_what_is_not_finished_stays(tmp_path):
    store = Store(tmp_path)
    fill(store)
    assert compact(store, lambda cell: cell.model == "ViT").n_cells == 4
    assert sum(not is_of_a_pack(Path(path).name) for path in on_disk(store)) == 5


def test_small_packs_grow_and_large_ones_stay(tmp_path):
    store = Store(tmp_path)
    fill(store, models=("RN50",))
    compact(store)
    late = make_cell(images=("x",))
    store.write(late, PROFILE, make_rows(late, ("x",)))
    before = look(store)
    assert compact(store).n_packs == 1
    assert same(look(store), before)
    assert len(on_disk(store)) == 3
    other = Store(tmp_path / "other")
    fill(other, models=("RN50",))
    assert compact(other, pack_bytes=1).n_packs == 0


class KilledError(Exception):
    """Stands for kill -9."""


@pytest.mark.parametrize("steps", range(12))
def test_killed_at_any_step(tmp_path, monkeypatch, steps):
    store = Store(tmp_path)
    fill(store)
    before = look(store)
    remaining = [steps]
    for name in ("write_atomic", "delete"):
        do = getattr(LocalFolder, name)

        def step(folder, *args, do=do):
            if remaining[0] == 0:
                raise KilledError
            remaining[0] -= 1
            return do(folder, *args)

        monkeypatch.setattr(LocalFolder, name, step)
    with pytest.raises(KilledError):
        compact(store)
    monkeypatch.undo()
    assert same(look(Store(tmp_path)), before)
    compact(Store(tmp_path))
    assert same(look(Store(tmp_path)), before)
    assert not [p for p in on_disk(store) if p.endswith(".parquet") and "/pack." not in p]


def test_a_reader_that_listed_before(tmp_path):
    store, reader = Store(tmp_path), Store(tmp_path)
    fill(store)
    files = reader.cells(*ARGS)
    rows = reader.scan(files).rows
    compact(store)
    scan = reader.scan(files)
    assert scan.corrupt == ()
    key = ["model", "image_id", "block"]
    assert scan.rows.sort(key).equals(rows.sort(key))


def test_a_reader_whose_index_goes_before_it_is_read(tmp_path, monkeypatch):
    store = Store(tmp_path)
    fill(store, models=("RN50",))
    compact(store)
    late = make_cell(model="RN50", images=("x",))
    store.write(late, PROFILE, make_rows(late, ("x",)))
    cells = store.cells(*ARGS)
    list_names, list_files = LocalFolder.names, LocalFolder.files

    def compacted_after(do, folder, prefix):
        found = do(folder, prefix)
        monkeypatch.undo()
        compact(Store(tmp_path))
        return found

    reader = Store(tmp_path)
    monkeypatch.setattr(LocalFolder, "files", lambda f, p: compacted_after(list_files, f, p))
    assert reader.cells(*ARGS) == cells
    again = make_cell(model="RN50", images=("y",))
    store.write(again, PROFILE, make_rows(again, ("y",)))
    reader = Store(tmp_path)
    monkeypatch.setattr(LocalFolder, "names", lambda f, p: compacted_after(list_names, f, p))
    assert reader.has(late)


def test_cells_taken_out_of_a_pack_at_one_time_stay_out(tmp_path, monkeypatch):
    store = Store(tmp_path)
    cells = fill(store, models=("RN50",))
    paths = store.cells(*ARGS)
    compact(store)
    write = LocalFolder.write_atomic

    def write_late(folder, path, data):
        monkeypatch.undo()
        Store(tmp_path).folder.delete(paths[cells[1]])
        write(folder, path, data)

    # Another process takes a cell out between this one's look at the index and its write.
    monkeypatch.setattr(LocalFolder, "write_atomic", write_late)
    store.folder.delete(paths[cells[0]])
    assert set(Store(tmp_path).cells(*ARGS)) == set(cells[2:])
    store.write(cells[0], PROFILE, make_rows(cells[0]))
    before = look(Store(tmp_path))
    compact(Store(tmp_path))
    assert same(look(Store(tmp_path)), before)
    assert len(on_disk(store)) == 3


def test_a_file_goes_only_where_its_pack_is_sound(tmp_path):
    store = Store(tmp_path)
    fill(store, models=("RN50",))
    path = next(iter(store.cells(*ARGS).values()))
    data = (tmp_path / path).read_bytes()
    compact(store)
    # As a kill before the file went would leave it.
    (tmp_path / path).write_bytes(data)
    pack = next(p for p in on_disk(store) if "/pack." in p and p.endswith(".parquet"))
    (tmp_path / pack).write_bytes(b"x")
    compact(Store(tmp_path))
    assert (tmp_path / path).exists()


def test_a_flipped_bit_in_a_pack(tmp_path):
    store = Store(tmp_path)
    cells = fill(store)
    compact(store)
    pack = next(p for p in on_disk(store) if "RN50" in p and p.endswith(".parquet"))
    data = bytearray((tmp_path / pack).read_bytes())
    data[40] ^= 1
    (tmp_path / pack).write_bytes(data)
    scan = store.scan(store.cells(*ARGS))
    assert set(scan.corrupt) == set(cells[:4])
    assert set(scan.rows["model"]) == {"ViT"}
    assert set(store.verify(*ARGS)) == set(cells[:4])
    # Set aside: its cells are missing now, and can be measured again.
    assert set(store.cells(*ARGS)) == set(cells[4:])
    store.write(cells[0], PROFILE, make_rows(cells[0]))
    assert store.has(cells[0])


def test_a_damaged_index_makes_its_cells_missing(tmp_path, caplog):
    store = Store(tmp_path)
    fill(store, models=("RN50",))
    compact(store)
    index = next(p for p in on_disk(store) if "/pack." in p and p.endswith(".json"))
    (tmp_path / index).write_text("{}")
    assert Store(tmp_path).cells(*ARGS) == {}
    assert "damaged" in caplog.text


def test_a_retry_takes_the_place_of_a_packed_cell(store_uri):
    store = Store(store_uri)
    cell = fill(store)[3]
    compact(store)
    assert store.failed_in(cell) == (("f", "truncated"),)
    store.write(cell, PROFILE, make_rows(cell, ["g", "f"]), replace=True)
    assert store.failed_in(cell) == ()
    rows = store.scan(store.cells(*ARGS, among=[cell])).rows
    assert set(rows["image_id"]) == {"f", "g"}
    assert len(store.cells(*ARGS)) == 8


def test_corrupt_files_are_named_and_left(tmp_path):
    store = Store(tmp_path)
    fill(store, models=("RN50",))
    path = next(iter(store.cells(*ARGS).values()))
    (tmp_path / path).write_bytes(b"x")
    done = compact(store)
    assert done.corrupt == (path,)
    assert done.n_cells == 3
    assert (tmp_path / path).exists()


def test_bytes_of_a_packed_cell_cannot_be_read(tmp_path):
    store = Store(tmp_path)
    path = store.cells(*ARGS, among=fill(store)[:1]).popitem()[1]
    compact(store)
    with pytest.raises(StoreError, match="not there"):
        store.folder.read(path)
