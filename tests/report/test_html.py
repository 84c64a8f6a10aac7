import base64
import hashlib
import re
from dataclasses import replace

import polars as pl
import pytest

from vlmsel.errors import StoreError
from vlmsel.report.figures import study_curves
from vlmsel.report.html import render_report, write_report
from vlmsel.report.inputs import ReportInputs, ReportStudy

HOSTILE = "<script>alert(1)</script>"


def anchors(html):
    return re.findall(r'<section id="([^"]+)"', html)


@pytest.fixture(scope="module")
def page(report_inputs):
    return render_report(report_inputs)


@pytest.fixture
def ranking_inputs(report_inputs):
    """What the section of the ranking shows, without the figures of the others."""
    inputs = report_inputs
    return replace(inputs, profiles=None, dcd=None, leave_one_out={}, sweep=None)


def test_every_section_that_has_data_is_there(page):
    wanted = ["ranking", "profiles", "dcd", "leave-one-out", "sweep", "failures", "made"]
    assert anchors(page) == wanted


def test_an_empty_report_says_why_each_section_is_missing():
    html = render_report(ReportInputs())
    assert anchors(html) == ["made"]
    for word in (
        "Ranking:",
        "Conductance by block:",
        "Divergence",
        "Leave one out:",
        "Sweep",
        "What failed:",
    ):
        assert word in html


def test_nothing_failed_is_only_said_when_it_was_looked_up():
    known = render_report(
        ReportInputs(
            failures=pl.DataFrame(schema=dict.fromkeys(["task", "image_id", "reason"], pl.String))
        )
    )
    assert "nothing that was asked for" in known
    assert "nothing that was asked for" not in render_report(ReportInputs())


def test_the_rival_and_the_truth_stand_beside_the_ranking(page, report_inputs):
    best = report_inputs.ranking["model"][0]
    rival = report_inputs.rival.filter(pl.col("model") == best)["rank"][0]
    assert f"average rank over the sources puts it at {rival}" in page
    assert "true rank below" in page


def test_near_uniform_similarity_is_a_warning(page, ranking_inputs):
    assert "near uniform" in page
    assert "near uniform" not in render_report(replace(ranking_inputs, near_uniform=False))


def test_no_address_outside_the_file(page):
    places = re.findall(r'(?:src|href|action)="([^"]*)"|url\(([^)]*)\)', page)
    outside = [p for pair in places for p in pair if p and not p.startswith(("#", "data:"))]
    assert outside == []


def test_the_policy_of_the_page_lets_its_own_script_run_and_no_other(page):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    # Before anything that a name could get into.
    assert page.index("Content-Security-Policy") < page.index("<title>")


def test_names_and_texts_are_escaped(report_inputs):
    model = pl.lit(HOSTILE).alias("model")
    html = render_report(
        replace(
            report_inputs,
            title=HOSTILE,
            verdict=HOSTILE,
            command=HOSTILE,
            notes=(HOSTILE,),
            settings={HOSTILE: HOSTILE},
            target=HOSTILE,
            ranking=report_inputs.ranking.with_columns(model, pl.lit(HOSTILE).alias("target")),
            rival=None,
            profiles=report_inputs.profiles.with_columns(model, pl.lit(HOSTILE).alias("task")),
            weights=report_inputs.weights.with_columns(model, pl.lit(HOSTILE).alias("source")),
            dcd=report_inputs.dcd.with_columns(pl.lit(HOSTILE).alias("source")),
            leave_one_out={HOSTILE: report_inputs.leave_one_out["Embedded zoo"]},
            failures=report_inputs.failures.with_columns(reason=pl.lit(HOSTILE)),
        )
    )
    assert HOSTILE not in html
    assert html.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in html


def test_credentials_are_blotted_out():
    command = "vlmsel evaluate --tracking-uri https://me:hunter2@host/?token=abc123"
    html = render_report(ReportInputs(command=command, settings={"store": "s3://k:hunter2@bucket"}))
    assert "hunter2" not in html
    assert "abc123" not in html
    assert "https://***@host" in html


def test_ids_are_unique(page):
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_study_has_its_figure_table_and_command():
    table = pl.DataFrame({"steps": [4, 8], "error": [0.2, 0.1], "rule": ["left", "left"]})
    figure = study_curves(table, x="steps", y="error", by="rule")
    study = ReportStudy(
        "How many steps?", "Sixteen.", figure, "error by steps", table, "vlmsel study steps"
    )
    html = render_report(ReportInputs(studies=(study,)))
    assert anchors(html) == ["study0", "made"]
    assert 'aria-label="error by steps"' in html
    assert "vlmsel study steps" in html


def test_the_ranking_of_another_target_is_not_shown(ranking_inputs):
    html = render_report(replace(ranking_inputs, target="no-such-task", rival=None))
    assert "ranking" not in anchors(html)


def test_what_leave_one_out_could_not_use_is_listed(report_inputs):
    left_out = pl.DataFrame({"kind": ["task"], "name": ["lonely"], "reason": ["one model only"]})
    table = report_inputs.leave_one_out
    html = render_report(ReportInputs(leave_one_out=table, left_out=left_out))
    assert "one model only" in html


def test_the_file_is_written_whole_and_replaces_the_old(tmp_path, ranking_inputs):
    path = write_report(tmp_path / "new" / "report.html", ranking_inputs)
    write_report(path, ReportInputs(title="second"))
    assert "<h1>second</h1>" in path.read_text()
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_path_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/report.html cannot be written .*another path"):
        write_report(tmp_path / "file" / "report.html", ReportInputs())


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(StoreError):
        write_report(tmp_path / "report.html", ReportInputs())
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
