import numpy as np
import polars as pl
import pytest

from vlmsel.report.heatmaps import dcd_heatmap, sweep_heatmap


def pairs(values, model="m"):
    rows = [(model, "p", s, t, v) for (s, t), v in values.items()]
    return pl.DataFrame(
        rows, orient="row", schema=["model", "pretrained", "source", "target", "dcd"]
    )


def cells(figure):
    axes = figure.axes[0]
    shown = axes.collections[0].get_array()
    columns = [t.get_text() for t in axes.get_xticklabels()]
    rows = [t.get_text() for t in axes.get_yticklabels()]
    return np.ma.filled(shown.astype(float), np.nan), rows, columns


TWO = {("a", "b"): 0.25, ("b", "a"): 0.5}


def test_rows_are_targets_and_columns_sources():
    values, rows, columns = cells(dcd_heatmap(pairs(TWO)))
    assert values[rows.index("b"), columns.index("a")] == 0.25
    assert values[rows.index("a"), columns.index("b")] == 0.5
    assert np.isnan(values[rows.index("a"), columns.index("a")])


def test_mean_over_models_or_one_model():
    both = pl.concat([pairs(TWO), pairs({k: 3 * v for k, v in TWO.items()}, "n")])
    mean, rows, columns = cells(dcd_heatmap(both))
    one, *_ = cells(dcd_heatmap(both, model="n", pretrained="p"))
    at = rows.index("b"), columns.index("a")
    assert mean[at] == pytest.approx(0.5)
    assert one[at] == pytest.approx(0.75)


def test_similar_tasks_stand_side_by_side():
    near = {frozenset("ac"): 0.1, frozenset("bd"): 0.1}
    values = {(s, t): near.get(frozenset((s, t)), 2.0) for s in "abcd" for t in "abcd" if s != t}
    _, rows, _ = cells(dcd_heatmap(pairs(values)))
    assert abs(rows.index("a") - rows.index("c")) == 1
    assert abs(rows.index("b") - rows.index("d")) == 1


def test_a_matrix_with_holes_is_drawn_by_name():
    _, rows, _ = cells(dcd_heatmap(pairs({("c", "b"): 1.0, ("a", "b"): 2.0, ("a", "c"): 1.0})))
    assert rows == ["b", "c"]


def test_a_source_that_is_no_target_has_a_column():
    _, rows, columns = cells(dcd_heatmap(pairs({("a", "t"): 1.0, ("b", "t"): 2.0})))
    assert rows == ["t"]
    assert columns == ["a", "b"]


def test_sweep_is_the_mean_over_targets_with_gamma_upwards():
    rows = [(1.0, 5.0, "tau", "x", 0.2), (1.0, 5.0, "tau", "y", 0.4), (1.0, 9.0, "tau", "x", 0.7)]
    frame = pl.DataFrame(rows, orient="row", schema=["eta", "gamma", "metric", "target", "value"])
    values, gammas, etas = cells(sweep_heatmap(frame, "tau"))
    assert etas == ["1"]
    assert gammas == ["9", "5"]
    assert values.ravel() == pytest.approx([0.7, 0.3])


def test_equal_values_do_not_break_the_scale():
    values, *_ = cells(dcd_heatmap(pairs(dict.fromkeys(TWO, 0.0))))
    assert np.nanmax(values) == 0.0
