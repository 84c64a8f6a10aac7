import polars as pl
import pytest

from vlmsel.errors import StoreError
from vlmsel.published.table_files import check_target, latex, table_bytes


def test_latex():
    frame = pl.DataFrame({"name": ["a_b & 100%"], "t": [0.25], "u": [None]}).cast({"u": pl.Float64})
    assert latex(frame) == (
        "\\begin{tabular}{lrr}\n\\toprule\nname & t & u \\\\\n\\midrule\n"
        "a\\_b \\& 100\\% & 25.0 & -- \\\\\n\\bottomrule\n\\end{tabular}\n"
    )


def test_no_command_of_latex_gets_through():
    assert "\\input" not in latex(pl.DataFrame({"a": ["\\input{x}", "$^~#"]}))


def test_csv_gives_every_digit_back():
    frame = pl.DataFrame({"a": [0.1 + 0.2, 1 / 3, 1e-300, None]})
    assert pl.read_csv(table_bytes(frame, ".csv")).equals(frame)


def test_targets(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("mine")
    with pytest.raises(StoreError, match="is there already"):
        check_target(path, overwrite=False)
    check_target(path, overwrite=True)
    with pytest.raises(StoreError, match="says no format"):
        check_target(tmp_path / "a.xlsx", overwrite=False)
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(StoreError, match="is a folder"):
        check_target(tmp_path / "b.csv", overwrite=True)
