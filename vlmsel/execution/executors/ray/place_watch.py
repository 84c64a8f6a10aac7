"""Watch over workers that wait for their place: a cluster that will never give one is found.

Ray waits in silence for ever where a cluster has lost its nodes, or takes a driver that was cut off
for a dead one and starts nothing for it.
"""

import time
from collections.abc import Callable, Mapping

from ray._private.state import available_resources_per_node
from ray.exceptions import RayError

from vlmsel.errors import ExecutionError
from vlmsel.execution.plan.placement import Demand

# Between looks, each of which asks the cluster.
LOOK_S = 10.0
# With room and no start. Of a worker that starts, Ray takes the room at once, but there may be room
# for one more, and the start imports torch.
ROOM_S = 300.0

KEPT = "what was measured is kept, and the same command goes on from there"

Free = Mapping[str, Mapping[str, float]]


class PlaceWatch:
    """Watch over the workers of one run that have no place yet.

    Args:
        free: gives the free resources by living node.
        clock: seconds.
    """

    def __init__(
        self,
        free: Callable[[], Free] = available_resources_per_node,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = free
        self._clock = clock
        self._next_look = clock() + LOOK_S
        self._last_asked = clock()
        self._room_since: float | None = None

    def forget(self) -> None:
        """Forget how long there was room: a worker has got its place."""
        self._room_since = None

    def look(self, demand: Demand) -> None:
        """Look whether a worker that waits may still get its place.

        Raises:
            ExecutionError: the cluster has no node any more, or has had room for five minutes in
                which no worker of the run started.
        """
        time_s = self._clock()
        if time_s - self._last_asked > 2 * LOOK_S:
            # Nobody waited in between.
            self.forget()
        self._last_asked = time_s
        if time_s < self._next_look:
            return
        self._next_look = time_s + LOOK_S
        try:
            nodes = list(self._free().values())
        except RayError as error:
            raise ExecutionError(f"the Ray cluster does not answer ({error}); {KEPT}") from error
        if not nodes:
            raise ExecutionError(f"the Ray cluster has lost its nodes; {KEPT}")
        if not any(_fits(demand, node) for node in nodes):
            self.forget()
        elif self._room_since is None:
            self._room_since = time_s
        elif time_s - self._room_since >= ROOM_S:
            raise ExecutionError(
                f"the Ray cluster has had room for {time_s - self._room_since:.0f} s and starts no "
                f"worker: it may take this run for a dead one; {KEPT}"
            )


def _fits(demand: Demand, node: Mapping[str, float]) -> bool:
    return node.get("CPU", 0.0) >= demand.cpus and node.get("GPU", 0.0) >= demand.gpus
