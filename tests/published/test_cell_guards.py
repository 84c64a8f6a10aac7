import csv
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.published.cell_guards import guard_cells, unguard_cells

TEXTS = st.text(
    st.one_of(
        st.sampled_from("=+-@'\t\r\n,\"\uff1d"), st.characters(exclude_categories=["Cs", "Cc"])
    ),
    min_size=1,
    max_size=8,
)


@given(st.lists(TEXTS, min_size=1, max_size=5), TEXTS)
def test_every_text_comes_back(cells, name):
    frame = pl.DataFrame({name: cells})
    assert unguard_cells(guard_cells(frame)).equals(frame)


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_no_guarded_cell_begins_a_formula(cells):
    guarded = guard_cells(pl.DataFrame({"=HYPERLINK()": cells}))
    for text in (*guarded.columns, *guarded.to_series()):
        assert text[0] not in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


@pytest.mark.parametrize(
    ("text", "guarded"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("'=1", "''=1"), ("'tis", "'tis"), ("ViT-B", "ViT-B")],
)
def test_guards(text, guarded):
    assert guard_cells(pl.DataFrame({"a": [text]}))["a"][0] == guarded


def test_numbers_are_left_alone():
    frame = pl.DataFrame({"a": [-1.5, None]})
    assert guard_cells(frame).equals(frame)


def test_another_reader_of_csv_sees_the_same_cells():
    frame = guard_cells(pl.DataFrame({"a": ['=x,"y"\r\nz']}))
    text = frame.write_csv()
    assert list(csv.reader(io.StringIO(text, newline="")))[1] == ['\'=x,"y"\r\nz']
