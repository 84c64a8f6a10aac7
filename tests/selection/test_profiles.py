import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.profiles import task_profiles


def profile_of(table: pl.DataFrame, task: str) -> list[float]:
    return table.row(by_predicate=pl.col("task") == task, named=True)["profile"]


def test_profile_is_the_mean_over_images_in_block_order(long_profiles):
    rows = long_profiles(np.array([[[1.0, 10.0], [3.0, 30.0]], [[5.0, 50.0], [7.0, 90.0]]]))
    table = task_profiles(rows.sample(fraction=1.0, shuffle=True, seed=0))
    assert table.columns == ["model", "pretrained", "task", "profile"]
    assert table.schema["profile"] == pl.List(pl.Float64)
    assert profile_of(table, "t0") == [2.0, 20.0]
    assert profile_of(table, "t1") == [6.0, 70.0]


def test_blocks_sort_by_number_and_not_by_name(long_profiles):
    values = np.arange(1.0, 13.0)[None]
    assert profile_of(task_profiles(long_profiles(values)), "t0") == values[0].tolist()


def test_failed_images_do_not_count(long_profiles):
    rows = long_profiles(np.array([[[1.0, 2.0]]]))
    failed = rows.head(1).with_columns(
        image_id=pl.lit("bad"),
        block=pl.lit(None, pl.Int64),
        block_name=pl.lit(None, pl.String),
        conductance=pl.lit(None, pl.Float64),
    )
    assert profile_of(task_profiles(pl.concat([rows, failed])), "t0") == [1.0, 2.0]


def test_an_image_that_two_cells_hold_counts_once(long_profiles):
    rows = long_profiles(np.array([[[1.0, 2.0], [3.0, 6.0]]]))
    twice = pl.concat([rows, rows.filter(pl.col("image_id") == "image-1")])
    assert profile_of(task_profiles(twice), "t0") == [2.0, 4.0]


def test_lazy_and_ready_profiles_are_taken_too(long_profiles):
    rows = long_profiles(np.array([[1.0, 2.0], [3.0, 4.0]]))
    table = task_profiles(rows)
    assert task_profiles(rows.lazy()).equals(table)
    assert task_profiles(table.reverse()).equals(table)
    arrays = table.with_columns(pl.col("profile").list.to_array(2))
    assert task_profiles(arrays).equals(table)


def test_models_may_have_different_blocks(long_profiles):
    rows = [long_profiles(np.ones((2, n)), model=f"m{n}") for n in (2, 5)]
    table = task_profiles(pl.concat(rows))
    assert table["profile"].list.len().to_list() == [2, 2, 5, 5]


def test_missing_column_is_named(long_profiles):
    with pytest.raises(SelectionError, match="lack the columns block_name"):
        task_profiles(long_profiles(np.ones((1, 2))).drop("block_name"))


@pytest.mark.parametrize("column", ["block", "block_name"])
def test_other_blocks_on_another_task_are_refused(long_profiles, column):
    rows = long_profiles(np.ones((2, 3)))
    other = (pl.col("task") == "t1") & (pl.col("block") == 2)
    if column == "block":
        rows = rows.filter(~other)
    else:
        name = pl.when(other).then(pl.lit("head")).otherwise("block_name")
        rows = rows.with_columns(block_name=name)
    with pytest.raises(SelectionError, match="blocks of m/p differ between its tasks"):
        task_profiles(rows)


def test_ready_profiles_of_different_length_are_refused(long_profiles):
    rows = [long_profiles(np.ones((1, n)), tasks=[f"t{n}"]) for n in (2, 3)]
    ready = pl.concat([task_profiles(part) for part in rows])
    with pytest.raises(SelectionError, match="blocks of m/p differ"):
        task_profiles(ready)


def test_an_image_without_one_block_is_refused(long_profiles):
    rows = long_profiles(np.ones((1, 2, 3)))
    with pytest.raises(SelectionError, match="m/p on t0 do not have the same blocks for every"):
        task_profiles(rows.head(5))


def test_two_names_of_one_block_are_refused(long_profiles):
    rows = long_profiles(np.ones((1, 2, 2)))
    name = pl.when(pl.col("image_id") == "image-1").then(pl.lit("x")).otherwise("block_name")
    with pytest.raises(SelectionError, match="do not have the same blocks"):
        task_profiles(rows.with_columns(block_name=name))


def test_a_profile_given_twice_is_refused(long_profiles):
    table = task_profiles(long_profiles(np.ones((1, 2))))
    with pytest.raises(SelectionError, match="m/p on t0 more than once"):
        task_profiles(pl.concat([table, table]))


@pytest.mark.parametrize("bad", [[0.0, 0.0], [1.0, np.nan], [np.inf, 1.0]])
def test_zero_and_non_finite_profiles_are_refused(long_profiles, bad):
    rows = long_profiles(np.array([[1.0, 2.0], bad]))
    with pytest.raises(SelectionError, match="m/p on t1 is all zero, empty or not finite"):
        task_profiles(rows)


def test_one_zero_block_is_a_measurement(long_profiles):
    assert profile_of(task_profiles(long_profiles(np.array([[0.0, 2.0]]))), "t0") == [0.0, 2.0]
