"""Running a plan so that a person sees it go, and saying truthfully what came of it."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace

import polars as pl
import typer

from vlmsel.cli.views.console import emit_json, say, warn
from vlmsel.cli.views.run_progress import progress_bar
from vlmsel.evidence.failure import Failure
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run import execute
from vlmsel.execution.run_summary import RunSummary
from vlmsel.store.store import Store

SHOWN_FAILURES = 10


def run_plan(plan: Plan, store: Store, options: RunOptions, *, what: str) -> RunSummary:
    """Run a plan with a progress bar; say at once when there is nothing to do."""
    say_plan(plan, what=what)
    if not plan.work:
        return execute(plan, store, options=options)
    with progress_bar(what) as bar:
        bar.expect(plan)
        return execute(plan, store, options=options, on_outcome=bar.tick)


def say_plan(plan: Plan, *, what: str) -> None:
    """Say how many cells are measured and how many are left."""
    if plan.work:
        say(f"{what}: {plan.n_missing} cells to measure, {plan.n_measured} are measured already")
        return
    before = f", {plan.n_failed_before} failed before" if plan.n_failed_before else ""
    say(f"{what}: {plan.n_measured} cells are measured already{before}, nothing to do")


def show_failures(summary: RunSummary) -> None:
    """Name what could not be measured, the first ones in full, and count the rest."""
    kinds = {
        "left out": summary.faults,
        "failed": summary.failures,
        "failed before": summary.earlier,
    }
    for kind, failures in kinds.items():
        for failure in failures[:SHOWN_FAILURES]:
            warn(f"{kind}: {failure}")
    rest = sum(max(0, len(failures) - SHOWN_FAILURES) for failures in kinds.values())
    if rest > 0:
        warn(f"... and {rest} more; `vlmsel status --by cell` lists them")
    if summary.earlier:
        warn(f"{len(summary.earlier)} failures are of an earlier run: --retry-failed tries again")


def finish_for_images(summary: RunSummary, n_images: int, allow_failures: int) -> None:
    """Name the models and cells that failed, and end with the true exit code.

    Args:
        summary: what was measured for some images.
        n_images: images that failed and are named already.
        allow_failures: failures that are accepted.

    Raises:
        Exit: more failed.
    """
    lost, before = (
        tuple(failure for failure in failures if failure.image_id is None)
        for failures in (summary.failures, summary.earlier)
    )
    show_failures(replace(summary, failures=lost, earlier=before))
    _say_left(summary)
    n_failed = n_images + len(lost) + len(summary.faults) + len(before)
    if n_failed > allow_failures:
        say(
            f"exit code 1: {n_images} images and {n_failed - n_images} models or cells failed; "
            f"--allow-failures {n_failed} accepts that"
        )
    if n_failed > allow_failures or summary.n_left:
        raise typer.Exit(1)


def finish_beside(summary: RunSummary, allow_failures: int) -> None:
    """Name what failed on the way to another result, and end with the true exit code.

    Raises:
        Exit: more failed than is accepted, or --max-hours ended the run.
    """
    show_failures(summary)
    _say_left(summary)
    n_failed = summary.n_failures
    if n_failed > allow_failures:
        say(f"exit code 1: {n_failed} failures; --allow-failures {n_failed} accepts that")
    if code := summary.exit_code(allow_failures):
        raise typer.Exit(code)


def _say_left(summary: RunSummary) -> None:
    if summary.n_left:
        say(
            f"stopped by --max-hours with {summary.n_left} cells left: what was measured is in the "
            "store; the same command goes on from there"
        )


def show_inexact(summary: RunSummary) -> None:
    """Name the images whose scores do not add up to what they should: the path has few points."""
    for image in summary.inexact[:SHOWN_FAILURES]:
        warn(f"inexact: {image}")
    if summary.inexact:
        warn(
            f"{len(summary.inexact)} image(s) may have inexact profiles "
            "(docs/internals/attribution.md); the store keeps the error of each; "
            "more points: --set n_steps=N"
        )


def finish(
    summary: RunSummary,
    *,
    what: str,
    allow_failures: int,
    as_json: bool,
    more: Mapping[str, object] | None = None,
) -> None:
    """Say what was done and end the command with the true exit code; `more` goes into the JSON."""
    if as_json:
        emit_json({**summary_dict(summary), **(more or {})})
    show_failures(summary)
    show_inexact(summary)
    total = summary.total
    say(
        f"{what}: {total.measured} cells measured ({total.n_images} images), "
        f"{summary.skipped} were there, {summary.n_failures} failures"
    )
    _say_left(summary)
    code = summary.exit_code(allow_failures)
    if code and summary.n_failures > allow_failures:
        say(f"exit code {code}; --allow-failures {summary.n_failures} accepts these failures")
    if code:
        raise typer.Exit(code)


def summary_dict(summary: RunSummary) -> dict[str, object]:
    """Build the object that ``--json`` prints of a run."""
    return {
        "measured": summary.measured,
        "skipped": summary.skipped,
        "failures": summary.n_failures,
        "left": summary.n_left,
        "failed": [asdict(failure) for failure in summary.failures],
        "left_out": [asdict(fault) for fault in summary.faults],
        "failed_before": [asdict(failure) for failure in summary.earlier],
        "inexact": [asdict(image) for image in summary.inexact],
        "passed_over": list_passed_over(summary),
        "by_model_and_task": summary.frame(),
    }


def list_passed_over(summary: RunSummary | None) -> list[dict[str, str]]:
    """Files beside the images that are not read, as ``--json`` prints them."""
    return [{"task": p.task, "what": p.reason} for p in (summary.passed_over if summary else ())]


def failures_frame(summary: RunSummary) -> pl.DataFrame | None:
    """Failures as the report wants them: model, pretrained, task, image_id, reason."""
    if not summary.failures:
        return None
    names = [field.name for field in fields(Failure)]
    rows = [asdict(failure) for failure in summary.failures]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))
