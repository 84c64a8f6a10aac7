import polars as pl

from vlmsel.report.tables import leave_one_out_table, plain_table, ranking_table, sources_by_model

SUMMARY = ["selector", "metric", "mean", "low", "high", "delta", "delta_low", "delta_high"]


def summary(*rows):
    return pl.DataFrame(rows, orient="row", schema=SUMMARY)


def cell(table, row, column):
    at = [c.name for c in table.columns].index(column)
    return next(r for r in table.rows if r[0].text == row)[at]


def test_a_cell_holds_the_mean_and_its_interval():
    table = leave_one_out_table(summary(("dcd", "tau", 0.5, 0.4, 0.6, None, None, None)), "zoo")
    assert cell(table, "dcd", "tau").text == "0.500"
    assert cell(table, "dcd", "tau").note == "0.400 to 0.600"


def test_marks_follow_the_direction_of_the_metric():
    table = leave_one_out_table(
        summary(
            ("a", "tau", 0.5, 0.4, 0.6, 0.2, 0.1, 0.3),
            ("a", "regret1", 0.1, 0.0, 0.2, 0.2, 0.1, 0.3),
            ("b", "tau", 0.5, 0.4, 0.6, 0.1, -0.1, 0.3),
            ("b", "regret1", 0.1, 0.0, 0.2, -0.2, -0.3, -0.1),
        ),
        "zoo",
    )
    marks = {(s, m): cell(table, s, m).mark for s in "ab" for m in ("tau", "regret1")}
    assert marks == {
        ("a", "tau"): "up",
        ("a", "regret1"): "down",
        ("b", "tau"): "",
        ("b", "regret1"): "up",
    }


def test_every_metric_has_its_definition_beside_its_name():
    table = leave_one_out_table(summary(("a", "recall5", 0.5, 0.4, 0.6, None, None, None)), "zoo")
    assert "top 5" in table.columns[1].note


def test_selectors_are_sorted_by_the_chosen_metric():
    frame = summary(*((s, "ndcg5", v, v, v, None, None, None) for s, v in (("a", 0.1), ("b", 0.9))))
    assert [row[0].text for row in leave_one_out_table(frame, "zoo").rows] == ["b", "a"]


def test_a_selector_that_was_not_judged_by_a_metric_says_so():
    frame = summary(
        ("a", "ndcg5", 0.5, 0, 1, None, None, None), ("b", "tau", 0.5, 0, 1, None, None, None)
    )
    assert cell(leave_one_out_table(frame, "zoo"), "b", "ndcg5").text == "not known"


def test_sources_are_named_heaviest_first():
    weights = pl.DataFrame(
        {
            "model": ["m"] * 4,
            "pretrained": ["p"] * 4,
            "source": list("abcd"),
            "weight": [0.1, 0.6, 0.25, 0.05],
        }
    )
    assert sources_by_model(weights)["m", "p"] == "b\u00a060%, c\u00a025%, a\u00a010%"


def test_the_ranking_has_columns_only_for_what_is_known():
    frame = pl.DataFrame({"rank": [1], "model": ["m"], "pretrained": ["p"], "score": [1.5]})
    assert [c.name for c in ranking_table(frame, {}).columns] == ["rank", "model", "score"]


def test_an_unknown_interval_is_said_to_be_unknown():
    frame = pl.DataFrame(
        {
            "rank": [1],
            "model": ["m"],
            "pretrained": ["p"],
            "score": [1.5],
            "low": [None],
            "high": [None],
        }
    )
    assert ranking_table(frame, {}).rows[0][3].text == "not known"


def test_a_long_frame_says_how_much_is_not_shown():
    table = plain_table(pl.DataFrame({"x": range(250)}), "numbers")
    assert (len(table.rows), table.left_out) == (200, 50)
