import polars as pl

from tests.evaluation.conftest import make_tables
from vlmsel.evaluation.complete_models import keep_complete


def test_a_model_that_lacks_a_task_is_left_out():
    accuracies, _ = make_tables(0)
    holed = accuracies.filter(~((pl.col("model") == "model3") & (pl.col("task") == "beta")))
    kept, left_out = keep_complete(holed)
    assert "model3" not in kept["model"]
    assert kept["model"].n_unique() == 7
    assert left_out.rows() == [("model", "model3/tag", "known on 4 of 5 tasks")]


def test_with_many_holes_everything_stays():
    accuracies, _ = make_tables(0)
    last = pl.col("model").is_in(["model1", "model2", "model3"]) & (pl.col("task") == "beta")
    kept, left_out = keep_complete(accuracies.filter(~last))
    assert kept.height == accuracies.height - 3
    assert left_out.is_empty()


def test_no_accuracy_is_a_hole():
    accuracies, _ = make_tables(0)
    hole = (pl.col("model") == "model0") & (pl.col("task") == "beta")
    nan = accuracies.with_columns(acc1=pl.when(hole).then(float("nan")).otherwise("acc1"))
    assert keep_complete(nan)[1]["name"].to_list() == ["model0/tag"]
