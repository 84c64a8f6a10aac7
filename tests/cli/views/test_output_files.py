"""Output files are whole or absent, and every command writes them by one module."""

import ast
import os
from pathlib import Path

import polars as pl
import pytest

from vlmsel import cli
from vlmsel.cli.views.output_files import write_output, write_output_table
from vlmsel.errors import StoreError

WRITERS = {"write_text", "write_bytes", "write_csv", "write_parquet", "savefig"}
HOME = "output_files.py"


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    write_output(page, "old", "--markdown")

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreError, match=r"--markdown .*page.md cannot be written: No space"):
            write_output(page, "new", "--markdown")
    assert page.read_text() == "old"
    assert list(tmp_path.iterdir()) == [page]


def test_links_are_followed_and_pipes_are_written_to(tmp_path):
    target = tmp_path / "target.csv"
    target.write_text("")
    (tmp_path / "link.csv").symlink_to(target)
    write_output_table(tmp_path / "link.csv", pl.DataFrame({"a": ["=1"]}), "--out")
    assert target.read_text() == "a\n'=1\n"
    write_output(Path(os.devnull), "text", "--out")
    assert not Path(os.devnull).is_file()


def test_no_command_writes_a_file_by_itself():
    found = {
        path.name
        for path in Path(cli.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in WRITERS
    }
    assert found == {HOME}
