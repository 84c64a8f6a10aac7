import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlmsel.errors import TaskError
from vlmsel.tasks import parquets
from vlmsel.tasks.parquets import read_parquet, scan_parquet

MakePng = Callable[..., bytes]


def write(path: Path, columns: dict[str, object], rows_a_group: int = 4) -> str:
    pq.write_table(pa.table(columns), path, row_group_size=rows_a_group)
    return str(path)


@pytest.mark.parametrize("layout", ["bytes", "struct", "large"])
def test_images_as_bytes_or_struct(tmp_path: Path, png: MakePng, layout: str) -> None:
    data = [png(i) for i in range(10)]
    column: object = data
    if layout == "struct":
        column = [{"bytes": d, "path": f"{i}.png"} for i, d in enumerate(data)]
    if layout == "large":
        column = pa.array(data, pa.large_binary())
    path = write(tmp_path / "x.parquet", {"image": column, "label": list(range(10)), "note": data})
    found = scan_parquet(path)
    assert [(f.key, f.member, f.label) for f in found] == [(str(i), str(i), i) for i in range(10)]
    assert [f.sha256 for f in found] == [hashlib.sha256(d).hexdigest() for d in data]
    assert dict(read_parquet(path, {"1", "7", "9"})) == {"1": data[1], "7": data[7], "9": data[9]}


def test_only_the_row_groups_that_are_needed_are_read(
    tmp_path: Path, png: MakePng, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.parquet", {"image": [png(i) for i in range(12)]})
    read: list[int] = []
    real = parquets._read_group

    def noting(uri: str, file: pq.ParquetFile, group: int, *rest: object) -> object:
        read.append(group)
        return real(uri, file, group, *rest)

    monkeypatch.setattr(parquets, "_read_group", noting)
    assert dict(read_parquet(path, {"5", "6"})) == {"5": png(5), "6": png(6)}
    assert read == [1]


def test_labels_are_optional_and_may_have_gaps(tmp_path: Path, png: MakePng) -> None:
    path = write(tmp_path / "a.parquet", {"image": [png(0)]})
    assert [f.label for f in scan_parquet(path)] == [None]
    path = write(tmp_path / "b.parquet", {"image": [png(0), png(1)], "label": [None, 3]})
    assert [f.label for f in scan_parquet(path)] == [None, 3]


def test_a_row_without_bytes_is_an_empty_image(tmp_path: Path, png: MakePng) -> None:
    path = write(tmp_path / "x.parquet", {"image": [png(0), None]})
    assert dict(read_parquet(path, {"0", "1"})) == {"0": png(0), "1": b""}
    structs = [None, {"bytes": png(1), "path": None}, {"bytes": None, "path": "x.png"}]
    path = write(tmp_path / "y.parquet", {"image": structs})
    found = dict(read_parquet(path, {"0", "1", "2"}))
    assert "a path only ('x.png'), no bytes: embed the images" in str(found.pop("2"))
    assert found == {"0": b"", "1": png(1)}


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"img": [b"x"], "y": [1]}, "has no column 'image'; its columns: img, y"),
        ({"image": ["text"]}, "column 'image' must hold bytes or a struct with bytes, not string"),
        ({"image": [{"path": "x"}]}, "must hold bytes or a struct with bytes"),
        ({"image": [b"x"], "label": ["cat"]}, "column 'label' must be integer, not string"),
    ],
)
def test_columns_that_will_not_do(tmp_path: Path, columns: dict[str, object], reason: str) -> None:
    with pytest.raises(TaskError, match=reason):
        scan_parquet(write(tmp_path / "x.parquet", columns))


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_what_is_no_parquet_is_named(tmp_path: Path, png: MakePng, keep: int) -> None:
    path = write(tmp_path / "x.parquet", {"image": [png(i) for i in range(9)]})
    (tmp_path / "x.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:keep])
    with pytest.raises(TaskError, match=r"x\.parquet is no readable Parquet") as caught:
        scan_parquet(path)
    assert "\n" not in str(caught.value)


def test_rows_that_are_too_large_are_errors(tmp_path: Path, png: MakePng) -> None:
    path = write(tmp_path / "x.parquet", {"image": [b"x" * 2000, png(1)]})
    found = dict(read_parquet(path, {"0", "1"}, max_image_bytes=1000))
    assert "2000 bytes, more than 1000" in str(found["0"])
    assert found["1"] == png(1)


@pytest.mark.parametrize(
    "kind",
    [pa.binary(), pa.large_binary(), pa.binary_view(), pa.dictionary(pa.int8(), pa.binary())],
)
def test_bytes_of_every_kind_are_read(tmp_path: Path, png: MakePng, kind: pa.DataType) -> None:
    data = [png(0), png(1), png(0), None]
    plain = pa.array(data, pa.binary())
    column = plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain.cast(kind)
    path = write(tmp_path / "x.parquet", {"image": column})
    digests = [hashlib.sha256(value or b"").hexdigest() for value in data]
    assert [found.sha256 for found in scan_parquet(path)] == digests
    rows = {str(number) for number in range(4)}
    assert list(dict(read_parquet(path, rows)).values()) == [value or b"" for value in data]


def shared(path: Path, value: bytes, n_rows: int, *, nested: bool = False) -> str:
    """A file of many rows that share one value, which is in it once."""
    column: pa.Array = pa.DictionaryArray.from_arrays(
        pa.array([0] * n_rows, pa.int32()), pa.array([value], pa.binary())
    )
    if nested:
        column = pa.StructArray.from_arrays([column.cast(pa.binary())], names=["bytes"])
    table = pa.table({"image": column})
    pq.write_table(
        table, path, compression="zstd", store_schema=False, dictionary_pagesize_limit=1 << 30
    )
    return str(path)


@pytest.mark.parametrize("nested", [False, True])
def test_a_value_that_many_rows_share_is_in_memory_once(tmp_path: Path, nested: bool) -> None:
    value = bytes(8 << 20)
    path = shared(tmp_path / "x.parquet", value, 60, nested=nested)
    assert Path(path).stat().st_size < 100_000
    before, peak = pa.total_allocated_bytes(), 0
    found = scan_parquet(path)
    for _, data in read_parquet(path, {str(row) for row in range(60)}):
        assert data == value
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert {ref.sha256 for ref in found} == {hashlib.sha256(value).hexdigest()}
    assert len(found) == 60
    # 480 MB where every row has its own.
    assert peak < 100 << 20


def test_rows_that_cannot_hold_pictures_are_refused_at_once(tmp_path: Path) -> None:
    path = shared(tmp_path / "x.parquet", b"", 300_000)
    start = time.process_time()
    with pytest.raises(TaskError, match=r"x\.parquet has 300000 rows in \d+ bytes"):
        scan_parquet(path)
    assert time.process_time() - start < 5


def test_a_row_group_that_unfolds_beyond_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": [bytes(10_000)] * 50}), path, use_dictionary=False)
    with pytest.raises(TaskError, match=r"x\.parquet: row group 0 unfolds from \d+ to \d+ bytes"):
        scan_parquet(str(path), max_unfolded_bytes=100_000)


def test_values_too_large_for_images_are_not_hashed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"image": [b"a" * 2000, b"b" * 2000, b"c"]})
    images = scan_parquet(path, max_image_bytes=1000)
    first, second, third = (found.sha256 for found in images)
    assert first == second != third == hashlib.sha256(b"c").hexdigest()


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (["image", "image"], "has two columns 'image'; rename one"),
        (["image", "label", "label"], "has two columns 'label'; rename one"),
    ],
)
def test_a_column_twice_is_named(
    tmp_path: Path, png: MakePng, columns: list[str], reason: str
) -> None:
    arrays = [pa.array([png(0)]) if name == "image" else pa.array([1]) for name in columns]
    pq.write_table(pa.Table.from_arrays(arrays, names=columns), tmp_path / "x.parquet")
    with pytest.raises(TaskError, match=reason):
        scan_parquet(str(tmp_path / "x.parquet"))


@pytest.mark.parametrize("label", [2**63 + 1, 2**64 - 1, 2**31])
def test_labels_that_are_hashes_are_named(tmp_path: Path, png: MakePng, label: int) -> None:
    columns = {"image": [png(0)], "label": pa.array([label], pa.uint64())}
    with pytest.raises(TaskError, match=rf"x\.parquet, row 0: label {label} is no class"):
        scan_parquet(write(tmp_path / "x.parquet", columns))
