import hashlib
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

    def noting(file: pq.ParquetFile, group: int, *rest: object) -> object:
        read.append(group)
        return real(file, group, *rest)

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
    assert dict(read_parquet(path, {"0", "1", "2"})) == {"0": b"", "1": png(1), "2": b""}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"img": [b"x"], "y": [1]}, "has no column 'image'; its columns: img, y"),
        ({"image": ["text"]}, "column 'image' must hold bytes or a struct with bytes, not string"),
        ({"image": [{"path": "x"}]}, "must hold bytes or a struct with bytes"),
        ({"image": [b"x"], "label": ["cat"]}, "column 'label' must be integer, not string"),
    ],
)
def test_columns_that_will_not_do(tmp_path: Path, columns: dict[str, object], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        scan_parquet(write(tmp_path / "x.parquet", columns))


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_what_is_no_parquet_is_named(tmp_path: Path, png: MakePng, keep: int) -> None:
    path = write(tmp_path / "x.parquet", {"image": [png(i) for i in range(9)]})
    (tmp_path / "x.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:keep])
    with pytest.raises(TaskError, match=r"x\.parquet is no readable Parquet") as caught:
        scan_parquet(path)
    assert "\n" not in str(caught.value)


def test_rows_that_are_too_large_are_errors(
    tmp_path: Path, png: MakePng, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.parquet", {"image": [b"x" * 2000, png(1)]})
    monkeypatch.setattr(parquets, "MAX_IMAGE_BYTES", 1000)
    found = dict(read_parquet(path, {"0", "1"}))
    assert "2000 bytes, more than 1000" in str(found["0"])
    assert found["1"] == png(1)
