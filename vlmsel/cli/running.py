"""Running a plan so that a person sees it go, and saying truthfully what came of it."""

from enum import StrEnum

import polars as pl
import typer

from vlmsel.cli.console import emit_json, progress_bar, say, show_table, warn
from vlmsel.execution.cells import CellOutcome
from vlmsel.execution.options import RunOptions
from vlmsel.execution.plan import Plan, describe_plan
from vlmsel.execution.run import execute
from vlmsel.execution.summary import RunSummary

SHOWN_FAILURES = 10


def run_plan(plan: Plan, store: str, options: RunOptions, *, what: str) -> RunSummary:
    """Do a plan with a progress bar; says at once when there is nothing to do."""
    if not plan.work:
        say(f"{what}: all {plan.n_measured} cells are measured already, nothing to do")
        return execute(plan, store, options=options)
    say(f"{what}: {plan.n_missing} cells to measure, {plan.n_measured} are measured already")
    with progress_bar(what, plan.n_missing) as bar:

        def on_outcome(outcome: CellOutcome) -> None:
            cell = outcome.cell
            bar.tick(f"{cell.model}/{cell.pretrained} on {cell.task}")

        return execute(plan, store, options=options, on_outcome=on_outcome)


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """The table of ``--dry-run``."""
    frame = describe_plan(plan)
    if as_json:
        emit_json({"plan": frame, "estimated_s": plan.seconds, "faults": _faults(plan)})
        return
    show_table(frame, title="plan, longest work first", decimals=1)
    for fault in plan.faults:
        warn(f"left out: {fault}")
    say(
        f"{plan.n_missing} cells to measure, {plan.n_measured} measured, "
        f"{plan.n_failed_before} failed before; about {plan.seconds:.0f} s of one worker"
    )


def _faults(plan: Plan) -> list[str]:
    return [str(fault) for fault in plan.faults]


def show_failures(summary: RunSummary) -> None:
    """Name what could not be measured, the first ones in full, and count the rest."""
    for failure in summary.failures[:SHOWN_FAILURES]:
        warn(f"failed: {failure}")
    rest = len(summary.failures) - SHOWN_FAILURES
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
        raise typer.Exit(code)


def summary_dict(summary: RunSummary) -> dict[str, object]:
    """What ``--json`` prints of a run."""
    return {
        "measured": summary.measured,
        "skipped": summary.skipped,
        "failures": summary.n_failures,
        "failed": [vars_of(failure) for failure in summary.failures],
        "by_model_and_task": summary.frame(),
    }


def vars_of(value: object) -> dict[str, object]:
    """The fields of a slotted dataclass."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}  # type: ignore[attr-defined]


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
    return pl.DataFrame([vars_of(failure) for failure in summary.failures])
