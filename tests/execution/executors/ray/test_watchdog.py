"""The watchdog needs no Ray: any process with the mark is one that it ends."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from vlmsel.execution.executors.ray import watchdog
from vlmsel.execution.executors.ray.watchdog import VARIABLE, find_marked, sweep

WAIT_S = 20.0
# A driver whose child, in a session of its own, would outlive it; a fork holds the pipe, too.
DRIVER = """
import os, subprocess, sys, time
child = subprocess.Popen(
    ["sleep", "600"], env={**os.environ, sys.argv[2]: sys.argv[3]}, start_new_session=True
)
watchdog = subprocess.Popen(
    [sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), sys.argv[3]],
    stdin=subprocess.PIPE, start_new_session=True,
)
if os.fork():
    print(child.pid, flush=True)
time.sleep(600)
"""


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_has_the_mark_is_found_and_killed_and_nothing_else() -> None:
    mark = secrets.token_hex(8)
    children = [
        subprocess.Popen(["sleep", "600"], env=os.environ | {VARIABLE: value})
        for value in (mark, mark + "0", "")
    ]
    until(lambda: list(find_marked(mark)) == [children[0].pid])
    sweep(mark, seconds=0.5)
    assert [child.poll() for child in children] == [-9, None, None]
    for child in children:
        child.kill()
        child.wait()


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_a_killed_driver_takes_its_marked_processes_along(how: str) -> None:
    mark = secrets.token_hex(8)
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, watchdog.__file__, VARIABLE, mark],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert driver.stdout is not None
    try:
        pid = int(driver.stdout.readline())
        until(lambda: list(find_marked(mark)) == [pid])
        getattr(driver, how)()
        driver.wait()
        until(lambda: not list(find_marked(mark)))
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.stdout.close()
