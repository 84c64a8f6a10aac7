"""Progress of every model: counts, plain lines, and the lines of a terminal."""

import io

from rich.console import Console
from rich.progress import Progress

from tests.cli.views.test_run_progress import cell, plan
from vlmsel.cli.views import run_progress
from vlmsel.cli.views.model_progress import ModelPace, add_plan
from vlmsel.cli.views.run_progress import Ticker
from vlmsel.execution.plan.units import CellOutcome


def outcome(model: str, status="measured") -> CellOutcome:
    return CellOutcome(cell(model), status)


def test_cells_and_tasks_are_counted():
    paces: dict[tuple[str, str], ModelPace] = {}
    add_plan(paces, plan())
    slow = paces["slow", "x"]
    assert slow.counts == "0/4 cells, 0/4 tasks"
    slow.settle(outcome("slow"))
    assert (slow.counts, slow.task, slow.is_done) == ("1/4 cells, 1/4 tasks", "a", False)
    slow.settle(outcome("slow", "failed"))
    assert slow.counts == "2/4 cells, 1/4 tasks, 1 failed"
    add_plan(paces, plan())
    assert slow.cells == 8


def test_elsewhere_a_line_says_that_a_model_is_done(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(run_progress, "say", lines.append)
    ticker = Ticker(Progress(disable=True), "profiles")
    ticker.expect(plan())
    for model in ["slow"] * 3 + ["fast"] * 4 + ["slow"]:
        ticker.tick(outcome(model))
    done = [line for line in lines if "tasks" in line]
    assert done == ["fast/x: 4/4 cells, 1/4 tasks", "slow/x: 4/4 cells, 1/4 tasks"]


def test_a_terminal_has_a_line_per_model_at_work():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with run_progress.progress_bar("profiles") as hidden:
        columns = hidden._bar.columns
    bar = Progress(*columns, console=console)
    ticker = Ticker(bar, "profiles")
    ticker.expect(plan())
    ticker.tick(outcome("slow"))
    ticker.tick(outcome("fast"))
    assert [task.description for task in bar.tasks[1:]] == ["slow/x: a", "fast/x: a"]
    console.print(bar.get_renderable())
    assert "1/4 cells, 1/4 tasks" in console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(3):
        ticker.tick(outcome("slow"))
    assert [task.description for task in bar.tasks[1:]] == ["fast/x: a"]
