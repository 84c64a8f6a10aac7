import csv
from pathlib import Path

import polars as pl
import pytest

from vlmsel.csv_tables import write_csv


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "|x", "%x"])
def test_no_text_of_a_file_begins_a_formula(tmp_path: Path, text: str) -> None:
    table = pl.DataFrame({"model": [text, "ViT-B-32"], text: ["a", None], "n": [-1.5, 2.0]})
    write_csv(table, tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["model", f"'{text}", "n"]
    # Numbers below zero stay numbers, and usual names as they are.
    assert rows == [[f"'{text}", "a", "-1.5"], ["ViT-B-32", "", "2.0"]]


def test_usual_tables_are_written_as_they_are(tmp_path: Path) -> None:
    table = pl.DataFrame({"model": ["a-b", "x=y"], "acc1": [0.5, None]})
    write_csv(table, tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == table.write_csv()
