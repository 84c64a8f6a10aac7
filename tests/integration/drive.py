"""A driver to be killed: `python -m tests.integration.drive PROBLEM STORE local|ray`."""

import sys

from tests.integration.problem import read_problem
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.run import measure
from vlmsel.store.store import Store

if __name__ == "__main__":
    zoo, tasks, wants = read_problem(sys.argv[1])
    summary = measure(
        zoo,
        tasks,
        Store(sys.argv[2]),
        wants,
        options=RunOptions(executor=sys.argv[3]),  # type: ignore[arg-type]
        on_outcome=lambda outcome: print(outcome.status, outcome.place, flush=True),  # noqa: T201
    )
    sys.exit(summary.exit_code())
