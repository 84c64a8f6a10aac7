"""Pages tell what they unfold to, whatever a footer says."""

from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlmsel.errors import TaskError
from vlmsel.tasks.parquet_pages import page_bytes, read_header
from vlmsel.tasks.parquets import scan_parquet

ROWS = [bytes([number]) * 3000 for number in range(40)]


def written(path: Path, values: list[bytes] = ROWS, **options: Any) -> Path:
    pq.write_table(pa.table({"image": pa.array(values, pa.binary())}), path, **options)
    return path


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_sums_are_those_of_an_honest_footer(tmp_path, compression, version, dictionary):
    path = written(
        tmp_path / "x.parquet",
        compression=compression, data_page_version=version, use_dictionary=dictionary,
        data_page_size=10_000, row_group_size=20, write_batch_size=2,
    )  # fmt: skip
    about = pq.ParquetFile(path).metadata
    assert about.num_row_groups == 2
    with path.open("rb") as stream:
        for group in range(2):
            chunk = about.row_group(group).column(0)
            pages = list(page_bytes(stream, chunk))
            assert len(pages) > 1
            # The footer counts the headers, too: some twenty bytes per page, more with statistics.
            assert 20 * 3000 <= sum(pages) <= chunk.total_uncompressed_size
    assert len(scan_parquet(str(path))) == 40


def test_a_footer_that_says_less_than_its_pages_is_refused(tmp_path):
    values = [bytes(100_000) for _ in range(8)]
    path = written(tmp_path / "x.parquet", values, compression="gzip", use_dictionary=False)
    size = pq.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size
    data = path.read_bytes()
    stated, lie = _zigzag(size), _zigzag(size // 6)
    assert len(stated) == len(lie)
    start = data.rindex(b"PAR1", 0, len(data) - 4) if data.count(b"PAR1") > 2 else 4
    path.write_bytes(data[:start] + data[start:].replace(stated, lie))
    with pytest.raises(TaskError, match=r"unfold to \d+ bytes, and its footer says"):
        scan_parquet(str(path))


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_rows_that_share_prefixes_are_read_one_by_one(tmp_path, encoding):
    path = written(
        tmp_path / "x.parquet", use_dictionary=False, column_encoding={"image": encoding}
    )
    assert len({found.sha256 for found in scan_parquet(str(path))}) == 40


@pytest.mark.parametrize(
    "data", [b"", b"\x15", b"\x15\x80", b"\x1d", b"\x1c" * 40, b"\x18\xff\x7f"]
)
def test_what_is_no_header_is_an_error(data):
    with pytest.raises(ValueError, match="header"):
        read_header(data)


def test_a_page_without_a_size_is_an_error(tmp_path):
    path = written(tmp_path / "x.parquet")
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    with pytest.raises(ValueError, match="without a size"):
        list(page_bytes(BufferedReader(BytesIO(b"\0" * 4096)), chunk))  # pyright: ignore[reportArgumentType]


def test_groups_without_rows_are_passed_over(tmp_path):
    table = pa.table({"image": pa.array(ROWS, pa.binary())})
    with pq.ParquetWriter(tmp_path / "x.parquet", table.schema) as writer:
        for part in (table.slice(0, 0), table.slice(0, 3), table.slice(0, 0), table.slice(3)):
            writer.write_table(part)
    assert len(scan_parquet(str(tmp_path / "x.parquet"))) == 40


def _zigzag(value: int) -> bytes:
    value <<= 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
