"""A worker in a process of its own, for models whose code may end, hang or crash its process.

The parent sends the model and then units, the child sends outcomes. It ends with its parent: the
connection closes, whatever its other threads do.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from vlmsel.execution.executors.threads import Result, ThreadWorker
from vlmsel.execution.plan.run_options import WorkerOptions
from vlmsel.execution.plan.units import Job, ModelUnits, Unit
from vlmsel.execution.work.logs import log_json_lines, logs_json_lines
from vlmsel.execution.work.loop import Lost

READY = "ready"
STDERR = 2
# For a child that was asked to end, or killed.
END_S = 10.0


class ChildWorker:
    """Runs the units of one model in a child process; see `ThreadWorker`."""

    def __init__(
        self,
        work: ModelUnits,
        job: Job,
        options: WorkerOptions,
        give: Callable[[int, Result], None],
    ) -> None:
        self._give = give
        self._out: set[int] = set()
        self._changing = threading.Lock()
        self.has_started = False
        self._dead = False
        self._connection, child_end = Pipe()
        with child_end:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "vlmsel.execution.executors.child",
                    str(child_end.fileno()),
                ],
                pass_fds=[child_end.fileno()],
                # The modules that the parent can import; what the model's code prints is no output.
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=STDERR,
                # Ctrl-C is for the parent, which ends its child.
                start_new_session=True,
            )
        with suppress(OSError):
            model = replace(work, units=())
            self._connection.send((model, job, options, logs_json_lines()))
        self._reader = threading.Thread(target=self._read, name="vlmsel-child", daemon=True)
        self._reader.start()

    def submit(self, ticket: int, unit: Unit, *, last_try: bool) -> None:
        """Start one unit."""
        with self._changing:
            if not self._dead:
                self._out.add(ticket)
                with suppress(OSError):
                    self._connection.send((ticket, unit, last_try))
                return
        self._give(ticket, self._lost_outcome())

    def stop(self, *, at_once: bool, grace_s: float = 0.0) -> bool:
        """End the process: after the units that it has, or at once. It always ends."""
        if at_once:
            self._process.kill()
        else:
            with suppress(OSError):
                self._connection.send(None)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return True

    def _read(self) -> None:
        try:
            while (message := self._connection.recv()) is not None:
                if message == READY:
                    self.has_started = True
                    continue
                ticket, result = message
                with self._changing:
                    self._out.discard(ticket)
                self._give(ticket, result)
        except (EOFError, OSError):
            pass
        with self._changing:
            self._dead, lost = True, sorted(self._out)
        for ticket in lost:
            self._give(ticket, self._lost_outcome())

    def _lost_outcome(self) -> Lost:
        try:
            code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            return Lost("its process closed its connection")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Lost(f"its process ended ({how})")


def main(descriptor: int) -> None:
    """Serve one parent."""
    connection = Connection(descriptor)
    work, job, options, json_lines = connection.recv()
    if json_lines:
        log_json_lines(options.log_level)
    sending = threading.Lock()

    def give(ticket: int, result: Result) -> None:
        with sending:
            connection.send((ticket, result))

    worker = ThreadWorker(work, job, options, give)
    with sending:
        connection.send(READY)
    # Without a parent nobody wants what is at hand.
    with suppress(EOFError, OSError):
        while (call := connection.recv()) is not None:
            ticket, unit, last_try = call
            worker.submit(ticket, unit, last_try=last_try)
    os._exit(0)


if __name__ == "__main__":
    from vlmsel.execution.executors import child

    child.main(int(sys.argv[1]))
