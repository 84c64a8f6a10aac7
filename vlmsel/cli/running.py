"""Running a plan so that a person sees it go, and saying truthfully what came of it."""

from dataclasses import asdict, fields
from enum import StrEnum

import polars as pl
import typer

from vlmsel.cli.console import emit_json, say, show_table, warn
from vlmsel.cli.progress import progress_bar
from vlmsel.execution.cells import Failure
from vlmsel.execution.options import RunOptions
from vlmsel.execution.plan import Plan, describe_plan
from vlmsel.execution.run import execute
from vlmsel.execution.summary import RunSummary

SHOWN_FAILURES = 10


def run_plan(plan: Plan, store: str, options: RunOptions, *, what: str) -> RunSummary:
    """Do a plan with a progress bar; says at once when there is nothing to do."""
    if not plan.work:
        left = f", {plan.n_failed_before} failed before" if plan.n_failed_before else ""
        say(f"{what}: {plan.n_measured} cells are measured already{left}, nothing to do")
        return execute(plan, store, options=options)
    say(f"{what}: {plan.n_missing} cells to measure, {plan.n_measured} are measured already")
    with progress_bar(what) as bar:
        bar.expect(plan)
        return execute(plan, store, options=options, on_outcome=bar.tick)


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """The table of ``--dry-run``."""
    frame = describe_plan(plan)
    if as_json:
        faults = [asdict(fault) for fault in plan.faults]
        emit_json({"plan": frame, "estimated_s": plan.seconds, "faults": faults})
        return
    show_table(frame, title="plan, longest work first", decimals=1)
    for fault in plan.faults:
        warn(f"left out: {fault}")
    say(
        f"{plan.n_missing} cells to measure, {plan.n_measured} measured, "
        f"{plan.n_failed_before} failed before; about {plan.seconds:.0f} s of one worker"
    )


def show_failures(summary: RunSummary) -> None:
    """Name what could not be measured, the first ones in full, and count the rest."""
    for fault in summary.faults[:SHOWN_FAILURES]:
        warn(f"left out: {fault}")
    for failure in summary.failures[:SHOWN_FAILURES]:
        warn(f"failed: {failure}")
    rest = sum(max(0, len(f) - SHOWN_FAILURES) for f in (summary.faults, summary.failures))
    if rest > 0:
        warn(f"... and {rest} more; `vlmsel status` lists them by model and task")
    if summary.failed_before:
        warn(f"{summary.failed_before} cells failed in an earlier run: --retry-failed tries again")


def finish(summary: RunSummary, *, what: str, allow_failures: int, as_json: bool) -> None:
    """Say what was done and end the command with the true exit code."""
    if as_json:
        emit_json(summary_dict(summary))
    show_failures(summary)
    total = summary.total
    say(
        f"{what}: {total.measured} cells measured ({total.n_images} images), "
        f"{summary.skipped} were there, {summary.n_failures} failures"
    )
    code = summary.exit_code(allow_failures)
    if code:
        say(f"exit code {code}; --allow-failures {summary.n_failures} accepts these failures")
        raise typer.Exit(code)


def summary_dict(summary: RunSummary) -> dict[str, object]:
    """What ``--json`` prints of a run."""
    return {
        "measured": summary.measured,
        "skipped": summary.skipped,
        "failures": summary.n_failures,
        "failed": [asdict(failure) for failure in summary.failures],
        "left_out": [asdict(fault) for fault in summary.faults],
        "failed_before": summary.failed_before,
        "by_model_and_task": summary.frame(),
    }


def run_options(
    executor: StrEnum,
    device: str | None,
    max_memory: float | None,
    workers: int | None,
    *,
    retry_failed: bool = False,
) -> RunOptions:
    """Options of a run from the command line; an option of the other executor is refused."""
    return RunOptions(
        executor="ray" if executor == "ray" else "local",
        device=device,
        max_memory_gb=max_memory,
        n_workers=workers,
        retry_failed=retry_failed,
    )


def failures_frame(summary: RunSummary) -> pl.DataFrame | None:
    """Failures as the report wants them: model, pretrained, task, image_id, reason."""
    if not summary.failures:
        return None
    names = [field.name for field in fields(Failure)]
    rows = [asdict(failure) for failure in summary.failures]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))
