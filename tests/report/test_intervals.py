import polars as pl
import pytest

from vlmsel.report.figure_style import MUTED, SERIES
from vlmsel.report.intervals import ranking_dots, selector_comparison


def summary(rows):
    names = ["selector", "metric", "mean", "delta", "delta_low", "delta_high"]
    return pl.DataFrame(rows, orient="row", schema=names)


def test_only_an_interval_without_zero_is_coloured():
    frame = summary([("sure", "tau", 0.5, 0.2, 0.1, 0.3), ("unsure", "tau", 0.4, 0.1, -0.1, 0.3)])
    axes = selector_comparison(frame, "tau").axes[0]
    colours = {
        name.get_text().split()[0]: axes.lines[1 + 2 * i].get_color()
        for i, name in enumerate(axes.get_yticklabels())
    }
    assert colours == {"sure": SERIES[0], "unsure": MUTED}


def test_a_selector_without_comparison_is_left_out():
    frame = summary([("a", "tau", 0.5, 0.2, 0.1, 0.3), ("b", "tau", 0.4, None, None, None)])
    labels = selector_comparison(frame, "tau").axes[0].get_yticklabels()
    assert [label.get_text().split()[0] for label in labels] == ["a"]


def ranking(n=3, **more):
    base = {"rank": range(1, n + 1), "model": [f"m{i}" for i in range(n)], "pretrained": ["p"] * n}
    return pl.DataFrame(base | more)


def test_rivals_and_truth_are_drawn_where_known():
    figure = ranking_dots(ranking(average_rank=[3, 1, 2], true_rank=[2, 1, 3]))
    shown = {str(one.get_label()): list(one.get_xdata()) for one in figure.axes[0].lines}
    assert shown == {"this selector": [1, 2, 3], "average rank": [3, 1, 2], "true rank": [2, 1, 3]}


def test_the_bar_spans_the_interval():
    figure = ranking_dots(ranking(1, low=[1.0], high=[2.5]))
    segment = figure.axes[0].collections[0].get_segments()[0]
    assert segment[:, 0] == pytest.approx([1.0, 2.5])


def test_a_large_zoo_shows_its_first_25():
    assert len(ranking_dots(ranking(40)).axes[0].get_yticklabels()) == 25
