from dataclasses import replace

import polars as pl

from vlmsel.report.inputs import ReportInputs
from vlmsel.report.sections import build_sections, full_ranking


def ranking(**more):
    base = {
        "rank": [2, 1, 3],
        "model": ["b", "a", "c"],
        "pretrained": ["p"] * 3,
        "score": [2.0, 1.0, 3.0],
    }
    return pl.DataFrame(base | more)


def test_the_ranking_carries_the_rival_and_the_true_rank():
    rival = pl.DataFrame({"model": ["c", "b"], "pretrained": ["p", "p"], "rank": [1, 2]})
    full = full_ranking(ReportInputs(ranking=ranking(accuracy=[0.5, 0.5, 0.9]), rival=rival))
    assert full["model"].to_list() == ["a", "b", "c"]
    assert full["average_rank"].to_list() == [None, 2, 1]
    assert full["true_rank"].to_list() == [2, 2, 1]


def test_one_target_of_several_is_shown():
    several = pl.concat([ranking(target=["x"] * 3), ranking(target=["y"] * 3)])
    assert full_ranking(ReportInputs(ranking=several, target="y"))["target"].to_list() == ["y"] * 3


def test_profiles_follow_the_ranking(report_inputs):
    last_first = report_inputs.ranking.with_columns(rank=7 - pl.col("rank"))
    sections, _ = build_sections(replace(report_inputs, ranking=last_first, rival=None))
    shown = next(s for s in sections if s.anchor == "profiles")
    first, second = report_inputs.ranking["model"].reverse()[:2]
    assert shown.pictures[0].caption.startswith(first)
    assert shown.more[0].caption.startswith(second)


def test_data_and_reasons_make_up_all_sections(report_inputs):
    present, absent = build_sections(replace(report_inputs, sweep=None, failures=None))
    assert len(present) + len(absent) == 6
    assert [sentence.split(":")[0] for sentence in absent] == [
        "Sweep of eta and gamma",
        "What failed",
    ]
