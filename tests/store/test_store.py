"""The store on disk and on S3: nothing is lost, counted twice or read when corrupt."""

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

from tests.store.cases import PAPER, PROFILE, make_cell, make_predictions, make_rows
from vlmsel.errors import StoreError
from vlmsel.measurements import Embedding, Prediction
from vlmsel.measurements.row_checks import check_rows
from vlmsel.published import stored_tables
from vlmsel.store import CellId, Scan, Store
from vlmsel.store.cells import cell_folder, cell_stem
from vlmsel.store.filesystem import Folder, open_folder
from vlmsel.store.keys import file_name
from vlmsel.store.row_bytes import to_bytes

OURS = ("profile", PROFILE.digest)


def scan(store: Store, cells: Sequence[CellId] | None = None) -> Scan:
    return store.scan(store.cells(*OURS, cells))


def cell_paths(folder: Folder) -> list[str]:
    return sorted(path for path in folder.files("profile") if path.endswith(".parquet"))


def spoil(folder: Folder, path: str, place: int = -20) -> None:
    data = bytearray(folder.read(path))
    data[place] ^= 1
    folder.write_atomic(path, bytes(data))


def test_what_is_written_is_read(store_uri: str) -> None:
    store = Store(store_uri)
    cell = make_cell(model="org/RN50", pretrained="a@b", task="../../x y")
    assert not store.has(cell)
    assert store.cells(*OURS) == {}
    store.write(cell, PROFILE, make_rows(cell, failed=["z"]))
    again = Store(store_uri)
    assert again.has(cell)
    assert set(again.cells(*OURS)) == {cell}
    found = scan(again)
    assert found.rows.columns == PROFILE.row_schema().names
    assert found.corrupt == ()
    frame = found.measured
    assert frame.columns == found.rows.columns[:-1]
    assert frame["conductance"].to_list() == [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]
    assert frame["image_id"].to_list() == ["a"] * 3 + ["b"] * 3
    place = (cell.model, cell.pretrained, cell.task)
    assert frame.select("model", "pretrained", "task").unique().rows() == [place]
    failed = found.rows.filter(pl.col("reason").is_not_null())
    assert failed.select("model", "pretrained", "task", "image_id", "reason").rows() == [
        (*place, "z", "truncated")
    ]


def test_a_file_says_what_it_is_by_its_place(store_uri: str) -> None:
    store, cell = Store(store_uri), make_cell(model="org/M", task="a b")
    store.write(cell, PROFILE, make_rows(cell))
    store.fail(make_cell(task="mnist"), PROFILE, "no")
    folder = open_folder(store_uri)
    (path,) = cell_paths(folder)
    start = f"profile/{PROFILE.digest}/org%2FM@openai/a%20b@{cell.key}."
    assert path.startswith(start)
    assert folder.names(f"profile/{PROFILE.digest}") == ["settings.json"]
    (note,) = folder.files("failures")
    assert note.startswith(f"failures/profile/{PROFILE.digest}/RN50@openai/mnist@")


def test_kinds_lie_side_by_side(store_uri: str) -> None:
    store, top, full = Store(store_uri), Prediction(logits=1), Prediction()
    profile, answers = make_cell(), make_cell(measurement=full)
    store.write(profile, PROFILE, make_rows(profile))
    store.write(answers, full, make_predictions(answers, answer=1))
    assert set(store.cells(*OURS)) == {profile}
    assert set(store.cells("prediction", full.digest)) == {answers}
    assert store.cells("prediction", top.digest) == {}
    assert store.cells("embedding", full.digest) == {}
    files = store.cells("prediction", full.digest)
    assert store.scan(files).measured["argmax"].to_list() == [1, 1]
    assert store.settings("prediction") == {full.digest: full}
    assert store.settings("embedding") == {}
    with pytest.raises(StoreError, match="several kinds cannot be read at once"):
        store.scan({**files, **store.cells(*OURS)})
    spoil(open_folder(store_uri), files[answers])
    assert store.verify(*OURS) == []
    assert store.verify("prediction", full.digest) == [answers]


def test_the_asked_columns_are_read(store_uri: str) -> None:
    store, full = Store(store_uri), Prediction()
    cell = make_cell(measurement=full)
    store.write(cell, full, make_predictions(cell, failed=["z"]))
    files = store.cells("prediction", full.digest)
    found = store.scan(files, columns=["image_id", "argmax", "reason"])
    assert set(found.rows.columns) == {"image_id", "argmax", "reason"}
    assert found.measured.select("image_id", "argmax").rows() == [("a", 0), ("b", 0)]


def test_nothing_is_read_of_no_cells(store_uri: str) -> None:
    found = Store(store_uri).scan({})
    assert found.rows.is_empty()
    assert found.corrupt == ()


def test_an_address_means_the_same_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store, cell = Store("here"), make_cell()
    store.write(cell, PROFILE, make_rows(cell))
    monkeypatch.chdir("/")
    assert Store(store.uri).has(cell)


def test_a_store_of_the_layout_before_this_one_is_known(tmp_path: Path) -> None:
    store, cell = Store(tmp_path / "new"), make_cell()
    assert not store.is_old()
    store.write(cell, PROFILE, make_rows(cell))
    stored_tables.write_accuracies(store.folder, published(0.1), "lovm")
    assert not store.is_old()
    for name in ("profiles", "accuracies"):
        folder = open_folder(tmp_path / name)
        folder.write_atomic(f"{name}/m@p/x.parquet", b"")
        assert Store(tmp_path / name).is_old()


def test_writing_again_changes_nothing(store_uri: str) -> None:
    store, cell = Store(store_uri), make_cell()
    store.write(cell, PROFILE, make_rows(cell))
    before = cell_paths(open_folder(store_uri))
    store.write(cell, PROFILE, make_rows(cell, scale=5.0))
    assert cell_paths(open_folder(store_uri)) == before
    assert scan(store).measured["conductance"].max() == 3.0


def test_two_writers_of_equal_rows_make_one_file(tmp_path: Path) -> None:
    cell = make_cell()
    for name in ("one", "two"):
        Store(tmp_path / name).write(cell, PROFILE, make_rows(cell))
    assert cell_paths(open_folder(tmp_path / "one")) == cell_paths(open_folder(tmp_path / "two"))


def test_of_two_files_of_one_cell_the_first_name_counts(store_uri: str) -> None:
    store, folder, cell = Store(store_uri), open_folder(store_uri), make_cell()
    store.write(cell, PROFILE, make_rows(cell, scale=1.0))
    other = to_bytes(check_rows(PROFILE, make_rows(cell, scale=7.0), "x"), {})
    folder.write_atomic(f"{cell_folder(cell)}/{file_name(cell_stem(cell), other)}", other)
    paths = cell_paths(folder)
    assert len(paths) == 2
    first = 7.0 if folder.read(paths[0]) == other else 1.0
    assert store.cells(*OURS) == {cell: paths[0]}
    for found in (scan(store), scan(store, [cell])):
        assert found.rows.height == 6
        assert found.rows["conductance"].min() == first


def test_a_scan_of_some_cells_reads_only_these_and_names_what_is_corrupt(store_uri: str) -> None:
    store = Store(store_uri)
    cells = [make_cell(task=task) for task in ("eurosat", "mnist", "dtd")]
    for cell in cells:
        store.write(cell, PROFILE, make_rows(cell))
    folder = open_folder(store_uri)
    spoil(folder, next(path for path in cell_paths(folder) if "dtd@" in path))
    found = scan(store, cells[:2])
    assert set(found.rows["task"]) == {"eurosat", "mnist"}
    assert found.corrupt == ()
    whole = scan(store)
    assert whole.corrupt == (cells[2],)
    assert whole.rows.equals(found.rows)


def test_of_the_asked_cells_those_that_are_measured_are_listed(store_uri: str) -> None:
    store = Store(store_uri)
    cells = [make_cell(task=task) for task in ("eurosat", "mnist", "dtd")]
    for cell in cells[:2]:
        store.write(cell, PROFILE, make_rows(cell))
    assert set(store.cells(*OURS, cells[1:])) == {cells[1]}
    assert store.cells(*OURS, []) == {}
    assert store.cells("profile", PAPER.digest, cells) == {}
    many = [*cells, *(make_cell(model=f"m{number}") for number in range(60))]
    assert store.cells(*OURS, many) == store.cells(*OURS)


@pytest.mark.parametrize("place", [0, 4, 40, -1, -20, -300])
def test_a_flipped_bit_is_found_set_aside_and_measured_again(store_uri: str, place: int) -> None:
    store, folder = Store(store_uri), open_folder(store_uri)
    good, bad = make_cell(task="eurosat"), make_cell(task="mnist")
    for cell in (good, bad):
        store.write(cell, PROFILE, make_rows(cell))
    path = cell_paths(folder)[1]
    spoil(folder, path, place)
    spoilt = folder.read(path)
    found = scan(store)
    assert found.corrupt == (bad,)
    assert set(found.rows["task"]) == {"eurosat"}
    assert len(cell_paths(folder)) == 2, "reading moves nothing"
    assert store.verify(*OURS, [good]) == []
    assert store.verify(*OURS) == [bad]
    assert store.verify(*OURS) == []
    kept = folder.files("quarantine")
    assert [folder.read(name) for name in kept] == [spoilt]
    assert set(store.cells(*OURS)) == {good}
    store.write(bad, PROFILE, make_rows(bad))
    assert set(store.cells(*OURS)) == {good, bad}
    assert scan(store, [bad]).rows.height == 6


def test_a_half_written_file_is_found(store_uri: str) -> None:
    store, folder, cell = Store(store_uri), open_folder(store_uri), make_cell()
    store.write(cell, PROFILE, make_rows(cell))
    path = cell_paths(folder)[0]
    folder.write_atomic(path, folder.read(path)[:100])
    assert scan(store).corrupt == (cell,)
    assert store.verify(*OURS, [cell]) == [cell]
    assert not store.has(cell)
    assert folder.files("quarantine")


def test_a_sound_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    store, cell = Store(tmp_path), make_cell()
    data = to_bytes(make_rows(cell).select(["model", "block"]), {})
    path = f"{cell_folder(cell)}/{file_name(cell_stem(cell), data)}"
    store.folder.write_atomic(path, data)
    with pytest.raises(StoreError, match=r"one of 1 profile files in .* is not a file of this"):
        scan(store)


def test_failures_count_attempts_and_end_with_success(store_uri: str) -> None:
    store, cell = Store(store_uri), make_cell()
    store.fail(cell, PROFILE, "CUDA out of memory", kind="out-of-memory")
    store.fail(cell, PROFILE, "cannot load")
    place = (cell.model, cell.pretrained, cell.task, cell.key)
    assert store.failed(*OURS).rows() == [(*place, "error", "cannot load", 2)]
    assert store.cells(*OURS) == {}
    assert store.failed("profile", PAPER.digest).is_empty()
    assert store.failed("prediction", PROFILE.digest).is_empty()
    store.write(cell, PROFILE, make_rows(cell))
    assert store.failed(*OURS).is_empty()
    store.fail(cell, PROFILE, "late")
    assert store.failed(*OURS).is_empty()
    assert open_folder(store_uri).files("failures") == []


def test_rows_of_another_cell_are_refused(tmp_path: Path) -> None:
    store, cell = Store(tmp_path), make_cell()
    with pytest.raises(StoreError, match="rows have task"):
        store.write(cell, PROFILE, make_rows(make_cell(task="mnist")))
    with pytest.raises(StoreError, match="belongs to profile settings"):
        store.write(cell, PAPER, make_rows(cell))
    with pytest.raises(StoreError, match=r"not to embedding settings"):
        store.write(cell, Embedding(), make_rows(cell))
    with pytest.raises(StoreError, match="belongs to profile settings"):
        store.fail(cell, Embedding(), "no")
    assert list(tmp_path.iterdir()) == []


def test_other_settings_are_told_apart(store_uri: str) -> None:
    store = Store(store_uri)
    with pytest.raises(StoreError, match="holds no profile: run `vlmsel measure profile` first"):
        store.require_settings(PAPER)
    ours, theirs = make_cell(), make_cell(measurement=PAPER)
    store.write(ours, PROFILE, make_rows(ours))
    store.require_settings(PROFILE)
    with pytest.raises(StoreError, match=r"n_steps 16 \(store\) vs 50 \(asked\)"):
        store.require_settings(PAPER)
    with pytest.raises(StoreError, match="holds no prediction"):
        store.require_settings(Prediction())
    store.write(theirs, PAPER, make_rows(theirs, scale=2.0))
    store.require_settings(PAPER)
    assert store.settings("profile") == {PROFILE.digest: PROFILE, PAPER.digest: PAPER}
    assert scan(store).rows["conductance"].min() == 1.0
    files = store.cells("profile", PAPER.digest)
    assert store.scan(files).rows["conductance"].min() == 2.0


def test_imported_profiles_are_replaced_and_told_apart(store_uri: str) -> None:
    store = Store(store_uri)
    assert stored_tables.read_profiles(store.folder).is_empty()
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
    stored_tables.write_profiles(store.folder, frame, "paper")
    stored_tables.write_profiles(store.folder, frame.reverse(), "paper")
    assert len(open_folder(store_uri).files("imported")) == 1
    assert stored_tables.read_profiles(store.folder)["conductance"].to_list() == [1.0, 2.0]
    stored_tables.write_profiles(
        store.folder, frame.with_columns(pl.col("conductance") * 3), "paper"
    )
    assert stored_tables.read_profiles(store.folder)["conductance"].to_list() == [3.0, 6.0]
    assert set(stored_tables.read_profiles(store.folder)["image_id"]) == {"published"}
    stored_tables.write_profiles(store.folder, frame, "rival")
    with pytest.raises(StoreError, match="RN50/openai from paper, rival"):
        stored_tables.read_profiles(store.folder)
    assert stored_tables.read_profiles(store.folder, "rival")["conductance"].to_list() == [1.0, 2.0]
    with pytest.raises(StoreError, match="no imported profiles named 'other'"):
        stored_tables.read_profiles(store.folder, "other")


def published(acc1: float, task: str = "cars") -> pl.DataFrame:
    return pl.DataFrame({"model": ["m"], "pretrained": ["p"], "task": [task], "acc1": [acc1]})


def test_imported_accuracies_are_replaced(store_uri: str) -> None:
    store = Store(store_uri)
    names = ["model", "pretrained", "task", "acc1", "acc5", "mean_per_class_recall", "n_images"]
    assert stored_tables.read_accuracies(store.folder).is_empty()
    assert stored_tables.read_accuracies(store.folder).columns == [*names, "source"]
    for acc1 in (0.1, 0.1, 0.4):
        stored_tables.write_accuracies(store.folder, published(acc1), "lovm")
        assert stored_tables.read_accuracies(store.folder)["acc1"].to_list() == [acc1]
        assert len(open_folder(store_uri).files("imported")) == 1
    stored_tables.write_accuracies(store.folder, published(0.2), "another")
    assert stored_tables.read_accuracies(store.folder).select("acc1", "source").rows() == [
        (0.2, "another"),
        (0.4, "lovm"),
    ]
    with pytest.raises(StoreError, match="comes twice"):
        stored_tables.write_accuracies(
            store.folder, pl.concat([published(0.2), published(0.3)]), "twice"
        )


@pytest.mark.parametrize("name", ["measured", "a/b", "", "../x"])
def test_impossible_import_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="import name"):
        stored_tables.write_accuracies(Store(tmp_path).folder, published(0.1), name)


def test_a_corrupt_import_is_refused(store_uri: str) -> None:
    store, folder = Store(store_uri), open_folder(store_uri)
    stored_tables.write_accuracies(store.folder, published(0.1), "lovm")
    (path,) = folder.files("imported")
    folder.write_atomic(path, folder.read(path)[:-1])
    with pytest.raises(StoreError, match="is corrupt"):
        stored_tables.read_accuracies(store.folder)


def test_a_thousand_cells(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cells = [make_cell(model=f"m{n % 40}", images=[str(n)]) for n in range(1000)]
    # Straight to disk: a thousand fsyncs are not what is tested here.
    for cell in cells:
        table = check_rows(PROFILE, make_rows(cell, images=[cell.key], n_blocks=2), "x")
        data = to_bytes(table, {})
        path = tmp_path / cell_folder(cell)
        path.mkdir(parents=True, exist_ok=True)
        (path / file_name(cell_stem(cell), data)).write_bytes(data)
    store.fail(make_cell(task="other"), PROFILE, "so that the settings are noted")
    assert set(store.cells(*OURS)) == set(cells)
    assert scan(store).rows.height == 2000
    assert store.verify(*OURS) == []


@settings(deadline=None, max_examples=15)
@given(order=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12))
def test_any_order_of_writes_and_failures(order: Sequence[tuple[int, bool]]) -> None:
    cells = [make_cell(task=f"t{place}") for place in range(4)]
    with TemporaryDirectory() as folder:
        store = Store(folder)
        for place, succeeds in order:
            if succeeds:
                store.write(cells[place], PROFILE, make_rows(cells[place]))
            else:
                store.fail(cells[place], PROFILE, "no")
        measured = {place for place, succeeds in order if succeeds}
        attempts = Counter(f"t{place}" for place, _ in order if place not in measured)
        assert set(store.cells(*OURS)) == {cells[place] for place in measured}
        assert dict(store.failed(*OURS).select("task", "attempts").rows()) == attempts


WRITER = """
import sys
from tests.store.cases import PROFILE, make_cell, make_rows
from vlmsel.store import Store
store = Store(sys.argv[1])
for number in range(60):
    cell = make_cell(task=f"t{number}")
    store.write(cell, PROFILE, make_rows(cell))
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
    store = Store(tmp_path)
    expected: set[CellId] = {make_cell(task=f"t{number}") for number in range(60)}
    assert set(store.cells(*OURS)) == expected
    assert store.verify(*OURS) == []
    assert scan(store).rows.height == 60 * 6
    assert len(cell_paths(open_folder(tmp_path))) == 60
