"""One task per model, in this process or on Ray: the same function, the same results."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from vlmsel.execution.plan.run_options import RunOptions

Work = TypeVar("Work")
Result = TypeVar("Result")


def run_model_tasks(
    function: Callable[[Work], Result], works: Sequence[Work], options: RunOptions
) -> Iterator[Result]:
    """Yield the result of every work as it is done; on Ray in any order.

    Args:
        function: importable by its name, without side effects: a lost task is run again.
        works: picklable, one per model.
        options: which executor; of a Ray cluster, which, and CPUs per task (`threads`).

    Raises:
        VlmselError: whatever the function raises.
        ExecutionError: the cluster is not there, or lost a task for good.
    """
    if options.executor == "local" or not works:
        yield from map(function, works)
        return
    # Imported here: the local executor needs no Ray.
    from vlmsel.execution.executors.ray.remote_tasks import run_ray_tasks

    yield from run_ray_tasks(function, works, options)
