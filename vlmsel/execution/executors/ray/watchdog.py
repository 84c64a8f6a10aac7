"""A process that outlives its driver by a moment and ends the cluster which that driver started.

    python watchdog.py DRIVER MARK

Ray's own reaper ends the process group of its driver; the agents that the raylet starts, and a
worker that is stopped, stay. This one finds every process by a mark in its environment, which
children inherit. It imports nothing but the standard library, so that it costs little.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
# Name of the environment variable that holds the mark.
VARIABLE = "VLMSEL_RAY_CLUSTER"
POLL_S = 0.5
# A process may be started while the others are killed.
SWEEP_S = 10.0


def find_marked(mark: str) -> Iterator[int]:
    """Ids of the living processes with this mark; none where the system has no ``/proc``."""
    wanted = f"{VARIABLE}={mark}".encode()
    for folder in PROC.glob("[0-9]*"):
        # The process has ended, or belongs to somebody else.
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def sweep(mark: str, *, seconds: float = SWEEP_S) -> None:
    """Kill every process with this mark until none is left."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = [pid for pid in find_marked(mark) if pid != os.getpid()]
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S / 10)


def await_driver(driver: int) -> None:
    """Return when the process `driver` closed its end of the pipe, or died."""
    # A fork of the driver may hold the pipe open after it.
    while os.getppid() == driver:
        if select.select([0], [], [], POLL_S)[0] and not os.read(0, 1):
            return


if __name__ == "__main__":
    await_driver(int(sys.argv[1]))
    sweep(sys.argv[2])
