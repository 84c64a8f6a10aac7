"""The profile store on disk and on S3: nothing is lost, counted twice or read when corrupt."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import polars as pl
import pytest
from hypothesis import given, settings

from tests.store.cases import SETTINGS, make_cell, make_rows
from vlmsel.errors import StoreError
from vlmsel.settings import AttributionSettings
from vlmsel.store import CellId, ProfileStore
from vlmsel.store.filesystem import Folder, open_folder
from vlmsel.store.keys import file_name
from vlmsel.store.schema import check_profile_rows, to_bytes

PAPER = AttributionSettings.preset("paper")


def cell_paths(folder: Folder) -> list[str]:
    return sorted(path for path in folder.files("profiles") if path.endswith(".parquet"))


def spoil(folder: Folder, path: str, place: int = -20) -> None:
    data = bytearray(folder.read(path))
    data[place] ^= 1
    folder.write_atomic(path, bytes(data))


def test_what_is_written_is_read(store_uri: str) -> None:
    store = ProfileStore(store_uri)
    cell = make_cell(model="org/RN50", pretrained="a@b", task="../../x y")
    assert not store.has(cell)
    assert store.measured(SETTINGS.digest) == set()
    store.write(cell, SETTINGS, make_rows(cell, failed=["z"]))
    again = ProfileStore(store_uri)
    assert again.has(cell)
    assert again.measured(SETTINGS.digest) == {cell}
    frame = again.scan()
    assert frame.columns == [
        *("model", "pretrained", "task", "image_id", "image_sha256", "block", "block_name"),
        *("conductance", "completeness_error", "objective"),
    ]
    assert frame["conductance"].to_list() == [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]
    assert frame["image_id"].to_list() == ["a"] * 3 + ["b"] * 3
    assert frame.select("model", "pretrained", "task").unique().row(0) == (
        cell.model,
        cell.pretrained,
        cell.task,
    )
    assert again.failed_images().rows() == [
        (cell.model, cell.pretrained, cell.task, "z", "truncated")
    ]


def test_writing_again_changes_nothing(store_uri: str) -> None:
    store, cell = ProfileStore(store_uri), make_cell()
    store.write(cell, SETTINGS, make_rows(cell))
    before = cell_paths(open_folder(store_uri))
    store.write(cell, SETTINGS, make_rows(cell, scale=5.0))
    assert cell_paths(open_folder(store_uri)) == before
    assert store.scan()["conductance"].max() == 3.0


def test_two_writers_of_equal_rows_make_one_file(tmp_path: Path) -> None:
    cell = make_cell()
    for name in ("one", "two"):
        ProfileStore(tmp_path / name).write(cell, SETTINGS, make_rows(cell))
    assert cell_paths(open_folder(tmp_path / "one")) == cell_paths(open_folder(tmp_path / "two"))


def test_of_two_files_of_one_cell_the_first_name_counts(store_uri: str) -> None:
    store, folder, cell = ProfileStore(store_uri), open_folder(store_uri), make_cell()
    store.write(cell, SETTINGS, make_rows(cell, scale=1.0))
    parent = cell_paths(folder)[0].rpartition("/")[0]
    other = to_bytes(check_profile_rows(make_rows(cell, scale=7.0), "x"), {})
    folder.write_atomic(f"{parent}/{file_name(f'{cell.task}@{cell.key}', other)}", other)
    paths = cell_paths(folder)
    assert len(paths) == 2
    first = 7.0 if folder.read(paths[0]) == other else 1.0
    assert store.measured(SETTINGS.digest) == {cell}
    for frame in (store.scan(), store.scan(cells=[cell])):
        assert frame.height == 6
        assert frame["conductance"].min() == first


def test_scan_of_some_cells_reads_only_these(store_uri: str) -> None:
    store = ProfileStore(store_uri)
    cells = [make_cell(task=task) for task in ("eurosat", "mnist", "dtd")]
    for cell in cells:
        store.write(cell, SETTINGS, make_rows(cell))
    folder = open_folder(store_uri)
    spoil(folder, next(path for path in cell_paths(folder) if "dtd@" in path))
    frame = store.scan(cells=cells[:2])
    assert set(frame["task"]) == {"eurosat", "mnist"}
    with pytest.raises(StoreError, match="corrupt"):
        store.scan()


def test_missing_cells_are_counted_and_the_first_is_named(store_uri: str) -> None:
    store = ProfileStore(store_uri)
    cells = [make_cell(task=task) for task in ("eurosat", "mnist", "dtd")]
    store.write(cells[0], SETTINGS, make_rows(cells[0]))
    with pytest.raises(StoreError, match=r"2 of 3 cells are not measured .* RN50/openai on dtd"):
        store.scan(SETTINGS.digest, cells=cells)


@pytest.mark.parametrize("place", [0, 4, 40, -1, -20, -300])
def test_a_flipped_bit_is_found_set_aside_and_measured_again(store_uri: str, place: int) -> None:
    store, folder = ProfileStore(store_uri), open_folder(store_uri)
    good, bad = make_cell(task="eurosat"), make_cell(task="mnist")
    for cell in (good, bad):
        store.write(cell, SETTINGS, make_rows(cell))
    path = cell_paths(folder)[1]
    spoil(folder, path, place)
    spoilt = folder.read(path)
    with pytest.raises(StoreError, match="is corrupt"):
        store.scan()
    assert store.verify(SETTINGS.digest, [good]) == []
    assert store.verify(SETTINGS.digest) == [bad]
    assert store.verify(SETTINGS.digest) == []
    kept = folder.files("quarantine")
    assert [folder.read(name) for name in kept] == [spoilt]
    assert store.measured(SETTINGS.digest) == {good}
    store.write(bad, SETTINGS, make_rows(bad))
    assert store.measured(SETTINGS.digest) == {good, bad}
    assert store.scan(cells=[bad]).height == 6


def test_a_half_written_file_is_found(store_uri: str) -> None:
    store, folder, cell = ProfileStore(store_uri), open_folder(store_uri), make_cell()
    store.write(cell, SETTINGS, make_rows(cell))
    path = cell_paths(folder)[0]
    folder.write_atomic(path, folder.read(path)[:100])
    assert store.verify(SETTINGS.digest, [cell]) == [cell]
    assert not store.has(cell)


def test_failures_count_attempts_and_end_with_success(store_uri: str) -> None:
    store, cell = ProfileStore(store_uri), make_cell()
    store.write_failure(cell, SETTINGS, "CUDA out of memory", kind="out-of-memory")
    store.write_failure(cell, SETTINGS, "cannot load")
    place = (cell.model, cell.pretrained, cell.task, cell.key)
    assert store.failed(SETTINGS.digest).rows() == [(*place, "error", "cannot load", 2)]
    assert store.measured(SETTINGS.digest) == set()
    assert store.failed(PAPER.digest).is_empty()
    store.write(cell, SETTINGS, make_rows(cell))
    assert store.failed(SETTINGS.digest).is_empty()
    store.write_failure(cell, SETTINGS, "late")
    assert store.failed(SETTINGS.digest).is_empty()
    assert open_folder(store_uri).files("failures") == []


def test_rows_of_another_cell_are_refused(tmp_path: Path) -> None:
    store, cell = ProfileStore(tmp_path), make_cell()
    with pytest.raises(StoreError, match="rows have task"):
        store.write(cell, SETTINGS, make_rows(make_cell(task="mnist")))
    with pytest.raises(StoreError, match="belongs to settings"):
        store.write(cell, PAPER, make_rows(cell))
    assert list(tmp_path.iterdir()) == []


def test_several_settings_must_be_chosen(store_uri: str) -> None:
    store = ProfileStore(store_uri)
    with pytest.raises(StoreError, match="holds no profiles"):
        store.scan()
    with pytest.raises(StoreError, match="holds no profiles"):
        store.require_settings(PAPER)
    ours, theirs = make_cell(), make_cell(settings=PAPER)
    store.write(ours, SETTINGS, make_rows(ours))
    store.require_settings(SETTINGS)
    with pytest.raises(StoreError, match=r"n_steps 16 \(store\) vs 50 \(asked\)"):
        store.require_settings(PAPER)
    store.write(theirs, PAPER, make_rows(theirs, scale=2.0))
    assert store.settings() == {SETTINGS.digest: SETTINGS, PAPER.digest: PAPER}
    with pytest.raises(StoreError, match=r"under 2 settings, name one: .*n_steps 50"):
        store.scan()
    assert store.scan(PAPER.digest)["conductance"].min() == 2.0
    with pytest.raises(StoreError, match="written under other settings than feed"):
        store.scan("feed")


def test_overlapping_shards_count_an_image_once(tmp_path: Path) -> None:
    store = ProfileStore(tmp_path)
    for images in (["a", "b"], ["b", "c"]):
        cell = make_cell(images=images)
        store.write(cell, SETTINGS, make_rows(cell, images=images))
    assert store.scan()["image_id"].to_list() == ["a"] * 3 + ["b"] * 3 + ["c"] * 3


def test_two_profiles_of_one_image_ask_for_zoo_and_tasks(tmp_path: Path) -> None:
    store = ProfileStore(tmp_path)
    old, new = make_cell(images=["a"]), make_cell(images=["a", "b"])
    store.write(old, SETTINGS, make_rows(old, images=["a"]))
    store.write(new, SETTINGS, make_rows(new, scale=2.0))
    with pytest.raises(StoreError, match=r"1 images, the first is a of task eurosat .*pass zoo"):
        store.scan()
    assert store.scan(cells=[new])["conductance"].min() == 2.0


def test_imports_are_replaced_and_told_apart(store_uri: str) -> None:
    store = ProfileStore(store_uri)
    assert store.imported().is_empty()
    frame = pl.DataFrame(
        {
            "model": ["RN50"] * 2,
            "pretrained": ["openai"] * 2,
            "task": ["cars"] * 2,
            "block": [1, 0],
            "block_name": ["b", "a"],
            "conductance": [2.0, 1.0],
        }
    )
    store.import_profiles(frame, "paper")
    store.import_profiles(frame.reverse(), "paper")
    assert len(open_folder(store_uri).files("imported")) == 1
    assert store.imported()["conductance"].to_list() == [1.0, 2.0]
    store.import_profiles(frame.with_columns(pl.col("conductance") * 3), "paper")
    assert store.imported()["conductance"].to_list() == [3.0, 6.0]
    assert set(store.imported()["image_id"]) == {"published"}
    store.import_profiles(frame, "rival")
    with pytest.raises(StoreError, match="RN50/openai from paper, rival"):
        store.imported()
    assert store.imported("rival")["conductance"].to_list() == [1.0, 2.0]
    with pytest.raises(StoreError, match="no imported profiles named 'other'"):
        store.imported("other")


def test_a_thousand_cells(tmp_path: Path) -> None:
    store = ProfileStore(tmp_path)
    cells = [make_cell(model=f"m{n % 40}", images=[str(n)]) for n in range(1000)]
    # Straight to disk: a thousand fsyncs are not what is tested here.
    for cell in cells:
        image = f"{cell.key}"
        table = check_profile_rows(make_rows(cell, images=[image], n_blocks=2), "x")
        data = to_bytes(table, {})
        path = tmp_path / "profiles" / cell.settings / f"{cell.model}@{cell.pretrained}"
        path.mkdir(parents=True, exist_ok=True)
        (path / file_name(f"{cell.task}@{cell.key}", data)).write_bytes(data)
    store.write_failure(make_cell(task="other"), SETTINGS, "so that the settings are noted")
    assert store.measured(SETTINGS.digest) == set(cells)
    assert store.scan().height == 2000
    assert store.verify(SETTINGS.digest) == []


@settings(deadline=None, max_examples=15)
@given(order=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12))
def test_any_order_of_writes_and_failures(order: Sequence[tuple[int, bool]]) -> None:
    cells = [make_cell(task=f"t{place}") for place in range(4)]
    with TemporaryDirectory() as folder:
        store = ProfileStore(folder)
        for place, succeeds in order:
            if succeeds:
                store.write(cells[place], SETTINGS, make_rows(cells[place]))
            else:
                store.write_failure(cells[place], SETTINGS, "no")
        measured = {place for place, succeeds in order if succeeds}
        attempts = Counter(f"t{place}" for place, _ in order if place not in measured)
        assert store.measured(SETTINGS.digest) == {cells[place] for place in measured}
        assert dict(store.failed(SETTINGS.digest).select("task", "attempts").rows()) == attempts


WRITER = """
import sys
from tests.store.cases import SETTINGS, make_cell, make_rows
from vlmsel.store import ProfileStore
store = ProfileStore(sys.argv[1])
for number in range(60):
    cell = make_cell(task=f"t{number}")
    store.write(cell, SETTINGS, make_rows(cell))
    print(number, flush=True)
"""


def test_killed_writers_and_a_rerun_give_the_undisturbed_store(tmp_path: Path) -> None:
    def run(kill_after: int | None) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        ) as writer:
            assert writer.stdout is not None
            for count, _ in enumerate(writer.stdout):
                if count == kill_after:
                    writer.send_signal(signal.SIGKILL)
                    break

    for kill_after in (3, 20, None):
        run(kill_after)
    store = ProfileStore(tmp_path)
    expected: set[CellId] = {make_cell(task=f"t{number}") for number in range(60)}
    assert store.measured(SETTINGS.digest) == expected
    assert store.verify(SETTINGS.digest) == []
    assert store.scan().height == 60 * 6
    assert len(cell_paths(open_folder(tmp_path))) == 60
