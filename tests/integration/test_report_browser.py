"""The report in a real browser: it opens offline, shows its figures, and its tables sort."""

import polars as pl
import pytest
from playwright.sync_api import sync_playwright

from tests.integration.browser import ARGUMENTS, BROWSER
from vlmsel.evaluation.metrics import METRICS
from vlmsel.report.html import write_report
from vlmsel.report.inputs import ReportInputs

MODELS = ["vit", "rn", "convnext"]
TASKS = ["pets", "cars", "<script>alert(1)</script> $x$"]

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")


def synthetic_inputs():
    """Three models and three tasks, one of them with a hostile name."""
    key = {"model": MODELS, "pretrained": ["p"] * 3}
    profiles = pl.DataFrame(
        [
            (m, "p", t, f"{t}/{i}", b, 0.1 * (b + i + 1))
            for m in MODELS
            for t in TASKS
            for i in (0, 1)
            for b in range(4)
        ],
        orient="row",
        schema=["model", "pretrained", "task", "image_id", "block", "conductance"],
    )
    pairs = [(m, "p", s, t, 0.5) for m in MODELS for s in TASKS for t in TASKS if s != t]
    summary = [
        (s, m, v, v - 0.1, v + 0.1, v - 0.5, v - 0.6, v - 0.4)
        for s, v in (("dcd", 0.7), ("average-rank", 0.5))
        for m in METRICS
    ]
    sweep = [(e, g, m, e * g) for e in (1.0, 2.0) for g in (1.0, 5.0) for m in METRICS]
    return ReportInputs(
        title="Which model?",
        target=TASKS[2],
        selector="dcd",
        command="vlmsel report",
        verdict="Use average-rank.",
        ranking=pl.DataFrame(
            key
            | {"rank": [1, 2, 3], "score": [1.5, 2.0, 10.0], "low": [1, 1, 2], "high": [2, 3, 3]}
        ),
        rival=pl.DataFrame(key | {"rank": [2, 3, 1]}),
        weights=pl.DataFrame(key | {"source": ["pets", "cars", "pets"], "weight": [1.0, 1.0, 1.0]}),
        profiles=profiles,
        dcd=pl.DataFrame(
            pairs, orient="row", schema=["model", "pretrained", "source", "target", "dcd"]
        ),
        leave_one_out={
            "zoo": pl.DataFrame(
                summary,
                orient="row",
                schema=[
                    "selector",
                    "metric",
                    "mean",
                    "low",
                    "high",
                    "delta",
                    "delta_low",
                    "delta_high",
                ],
            )
        },
        sweep=pl.DataFrame(sweep, orient="row", schema=["eta", "gamma", "metric", "value"]),
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("report") / "report.html", synthetic_inputs())


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def opened(browser, report):
    """The open page, what it asked for, and what its console and scripts complained of.

    Opened once: no test minds how another left its tables or its width.
    """
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    page.goto(report.as_uri(), wait_until="networkidle")
    yield page, asked, complaints
    page.close()


def test_it_asks_for_nothing_but_itself_and_is_quiet(opened, report):
    _, asked, complaints = opened
    assert asked == [report.as_uri()]
    assert complaints == []


def test_every_figure_is_seen(opened):
    page, *_ = opened
    page.set_viewport_size({"width": 1200, "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    boxes = [svg.bounding_box() for svg in page.locator("figure svg[role=img]").all()]
    assert len(boxes) == 7  # ranking, profiles of three models, dcd, selectors, sweep
    assert all(box["width"] > 300 and box["height"] > 60 for box in boxes)


def test_a_hostile_task_name_is_text(opened):
    page, *_ = opened
    assert page.locator("svg text", has_text="<script>alert(1)</script> $x$").count() > 0


def column(page, number):
    cells = page.locator(f"#ranking tbody td:nth-child({number}) > span:first-child")
    return cells.all_text_contents()


def test_a_click_on_a_head_sorts_and_a_second_turns_it(opened):
    page, *_ = opened
    page.reload()
    head = page.locator("#ranking th", has_text="score")
    head.get_by_role("button").click()
    assert column(page, 3) == ["1.500", "2.000", "10.000"]
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    assert column(page, 3) == ["10.000", "2.000", "1.500"]
    assert head.get_attribute("aria-sort") == "descending"


def test_texts_sort_by_the_alphabet_and_the_keyboard_works(opened):
    page, *_ = opened
    page.locator("#ranking th", has_text="model").get_by_role("button").press("Enter")
    assert column(page, 2) == sorted(MODELS)


@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_is_no_wider_than_the_window(opened, width):
    page, *_ = opened
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light_follow_the_reader(opened):
    page, *_ = opened
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


def test_every_anchor_of_the_navigation_exists(opened):
    page, *_ = opened
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1
