import numpy as np
import polars as pl

from vlmsel.selection.knowledge import known_models, task_ranks, value_matrix

TABLE = pl.DataFrame(
    [
        ("a", "p", "t0", 0.9),
        ("b", "p", "t0", 0.5),
        ("c", "p", "t0", 0.5),
        ("d", "p", "t0", 0.1),
        ("a", "p", "t1", 0.2),
        ("b", "p", "t1", None),
        ("c", "p", "t1", float("nan")),
        ("d", "p", "t1", 0.3),
        ("e", "p", "t2", None),
    ],
    schema=["model", "pretrained", "task", "acc1"],
    orient="row",
)


def test_ranks_share_ties_and_skip_the_unknown():
    found = task_ranks(TABLE).select("task", "model", "rank", "n_models").rows()
    assert found == [
        ("t0", "a", 1.0, 4),
        ("t0", "b", 2.5, 4),
        ("t0", "c", 2.5, 4),
        ("t0", "d", 4.0, 4),
        ("t1", "d", 1.0, 2),
        ("t1", "a", 2.0, 2),
    ]


def test_values_lie_by_model_and_task():
    array = value_matrix(TABLE, "acc1", [("d", "p"), ("b", "p"), ("x", "p")], ["t1", "t0", "t9"])
    expected = [[0.3, 0.1, np.nan], [np.nan, 0.5, np.nan], [np.nan, np.nan, np.nan]]
    np.testing.assert_array_equal(array, expected)


def test_models_known_on_some_task():
    assert known_models(TABLE, ["t1", "t2"]) == [("a", "p"), ("d", "p")]
