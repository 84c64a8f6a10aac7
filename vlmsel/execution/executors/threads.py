"""A worker of this process: a model and the threads that call it.

The threads are daemons: one that hangs cannot be ended, but it must not keep the process.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from vlmsel.execution.plan.run_options import WorkerOptions
from vlmsel.execution.plan.units import Job, ModelUnits, Unit, UnitOutcome
from vlmsel.execution.work.dispatch import IN_FLIGHT
from vlmsel.execution.work.loop import Lost
from vlmsel.execution.work.worker import ModelWorker

Result = UnitOutcome | Lost | BaseException
Results = SimpleQueue[tuple[int, Result]]
# For a unit that is nearly done when its worker is not wanted any more.
GRACE_S = 30.0


class ThreadWorker:
    """Runs the units of one model in threads of this process.

    Args:
        work: which model.
        job: what is measured.
        options: how.
        give: takes a ticket and what became of its unit; called from the threads.
    """

    has_started = True

    def __init__(
        self,
        work: ModelUnits,
        job: Job,
        options: WorkerOptions,
        give: Callable[[int, Result], None],
    ) -> None:
        self._worker = ModelWorker(work.spec, work.identity, job, options)
        self._give = give
        self._todo: SimpleQueue[tuple[int, Unit, bool] | None] = SimpleQueue()
        self._dropped = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"vlmsel-worker-{number}", daemon=True)
            for number in range(IN_FLIGHT)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, ticket: int, unit: Unit, *, last_try: bool) -> None:
        """Start one unit."""
        self._todo.put((ticket, unit, last_try))

    def stop(self, *, at_once: bool, grace_s: float = GRACE_S) -> bool:
        """End the threads after the units that they have, or at once: after the one at hand.

        Returns False where a thread hangs and was left.
        """
        self._dropped = at_once
        for _ in self._threads:
            self._todo.put(None)
        if at_once:
            for thread in self._threads:
                thread.join(grace_s)
        return not any(thread.is_alive() for thread in self._threads) if at_once else True

    def _serve(self) -> None:
        while (call := self._todo.get()) is not None:
            ticket, unit, last_try = call
            if self._dropped:
                continue
            try:
                self._give(ticket, self._worker.run(unit, last_try=last_try))
            except BaseException as error:  # noqa: BLE001 - raised again by the loop
                self._give(ticket, error)
