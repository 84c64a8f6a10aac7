"""A driver to be killed, in a process of its own."""

import sys

from tests.integration.problem import read_problem
from vlmsel.execution.executors.ray.local_cluster import local_cluster
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.run import measure
from vlmsel.store.store import Store


def drive(problem: str, store: str) -> None:
    """Measure a problem of a file, say each outcome on a line, and exit as a run does."""
    _measure(problem, store, RunOptions())


def drive_ray(problem: str, store: str, python: str) -> None:
    """Do the same on a cluster of this process, whose workers `python` starts."""
    with local_cluster(
        include_dashboard=False, log_to_driver=False, runtime_env={"py_executable": python}
    ):
        _measure(problem, store, RunOptions(executor="ray"))


def _measure(problem: str, store: str, options: RunOptions) -> None:
    zoo, tasks, wants = read_problem(problem)
    summary = measure(
        zoo,
        tasks,
        Store(store),
        wants,
        options=options,
        on_outcome=lambda outcome: print(outcome.status, outcome.place, flush=True),  # noqa: T201
    )
    sys.exit(summary.exit_code())
