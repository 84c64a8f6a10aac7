"""Writes small tables to files."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def _write(text: str, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _write


@pytest.fixture
def write_parquet(tmp_path: Path) -> Callable[[pl.DataFrame], Path]:
    def _write(frame: pl.DataFrame, name: str = "table.parquet") -> Path:
        frame.write_parquet(tmp_path / name)
        return tmp_path / name

    return _write
