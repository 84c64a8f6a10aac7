from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vlmsel.tasks.found_image import FoundImage
from vlmsel.tasks.index_cache import load_scans, save_scans
from vlmsel.tasks.sources import SourceFile

SCANS = {
    SourceFile("/a/s.tar", "s.tar", 10, 99): (
        FoundImage("k", "k.png", "ab", 3, 512, 77),
        FoundImage("l", "l.png", "cd", None),
    ),
    SourceFile("/a/empty.tar", "empty.tar", 1, 2): (),
    SourceFile("/a/x.png", "x.png", 5, 7): (FoundImage("", None, "ef", None),),
}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save_scans(tmp_path / "deep" / "note.parquet", SCANS)
    assert load_scans(tmp_path / "deep" / "note.parquet") == SCANS
    save_scans(tmp_path / "none.parquet", {})
    assert load_scans(tmp_path / "none.parquet") == {}


@pytest.mark.parametrize("kind", ["missing", "garbage", "foreign"])
def test_what_cannot_be_used_is_no_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "note.parquet"
    if kind == "garbage":
        path.write_bytes(b"garbage")
    if kind == "foreign":
        pq.write_table(pa.table({"uri": [1], "other": [2]}), path)
    assert load_scans(path) == {}


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    save_scans(tmp_path / "file" / "note.parquet", SCANS)
    assert not (tmp_path / "file" / "note.parquet").exists()
