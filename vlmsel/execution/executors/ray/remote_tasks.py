"""One Ray task per model. A task whose worker died is run again by Ray."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from vlmsel.errors import ExecutionError, VlmselError, one_line
from vlmsel.execution.executors.ray.session import ray_session
from vlmsel.execution.plan.run_options import RunOptions

Work = TypeVar("Work")
Result = TypeVar("Result")


def run_ray_tasks(
    function: Callable[[Work], Result], works: Sequence[Work], options: RunOptions
) -> Iterator[Result]:
    """Yield results as tasks end; see `run_model_tasks`.

    Raises:
        VlmselError: whatever the function raises.
        ExecutionError: the cluster is not there, or lost a task for good.
    """
    with ray_session(options.address):
        remote = ray.remote(num_cpus=options.threads)(function)
        waiting = list(works)
        most = options.n_workers or len(waiting)
        running = [remote.remote(waiting.pop(0)) for _ in range(min(most, len(waiting)))]
        try:
            while running:
                done, running = ray.wait(running)
                if waiting:
                    running.append(remote.remote(waiting.pop(0)))
                yield _result(done[0])
        finally:
            for task in running:
                ray.cancel(task)


def _result(task: "ray.ObjectRef[Result]") -> Result:
    try:
        return ray.get(task)
    except RayTaskError as error:
        if isinstance(error.cause, VlmselError):
            raise error.cause from None
        raise
    except RayError as error:
        raise ExecutionError(f"Ray lost a task: {one_line(error, 200)}") from error
