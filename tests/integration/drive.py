"""A driver to be killed, in a process of its own."""

import sys

from tests.integration.problem import read_problem
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.run import measure
from vlmsel.store.store import Store


def drive(problem: str, store: str, executor: str) -> None:
    """Measure a problem of a file, say each outcome on a line, and exit as a run does."""
    zoo, tasks, wants = read_problem(problem)
    summary = measure(
        zoo,
        tasks,
        Store(store),
        wants,
        options=RunOptions(executor=executor),  # type: ignore[arg-type]
        on_outcome=lambda outcome: print(outcome.status, outcome.place, flush=True),  # noqa: T201
    )
    sys.exit(summary.exit_code())
