"""Processes of their own whose imports are done: forked from one that has imported torch.

A test that kills, stops or interrupts what does the work needs a process, not a fresh interpreter,
which costs seconds of importing.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import TextIO

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["vlmsel.execution.executors.local", "vlmsel.cli.app"])


class WarmProcess:
    """A running function in a process group of its own, seen as `subprocess.Popen` shows one.

    Args:
        function: what it does; `sys.exit` in it is its exit code.
        args: of the function.
        environment: instead of this process's.
    """

    def __init__(
        self,
        function: Callable[..., object],
        *args: object,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        (out, out_end), (err, err_end) = (CONTEXT.Pipe(duplex=False) for _ in range(2))
        self._process = CONTEXT.Process(
            target=become, args=(function, args, out_end, err_end, dict(environment), os.getcwd())
        )
        self._process.start()
        out_end.close()
        err_end.close()
        self.stdout: TextIO = os.fdopen(os.dup(out.fileno()))
        self.stderr: TextIO = os.fdopen(os.dup(err.fileno()))
        out.close()
        err.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def __del__(self) -> None:
        self.stdout.close()
        self.stderr.close()

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and give its exit code."""
        self._process.join(timeout)
        if (code := self.returncode) is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what is left of its output and of its errors, if nobody has it."""
        if self.stdout.closed:
            return "", ""
        with self.stdout, self.stderr, ThreadPoolExecutor(1) as pool:
            errors = pool.submit(self.stderr.read)
            output = self.stdout.read()
        self.wait(timeout)
        return output, errors.result()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        self._process.kill()


def become(
    function: Callable[..., object],
    args: tuple[object, ...],
    out: Connection,
    err: Connection,
    environment: dict[str, str],
    folder: str,
) -> None:
    """Be the process of a function: its session, folder, environment and output."""
    os.setsid()
    os.chdir(folder)
    # The server's environment is that of its own start.
    os.environ.clear()
    os.environ.update(environment)
    for number, end in enumerate((out, err), start=1):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2)
    )
    function(*args)


class WarmChild(WarmProcess):
    """A child of the local executor whose imports are done; takes what `subprocess.Popen` does."""

    def __init__(
        self, _: list[str], *, pass_fds: list[int], env: dict[str, str], **others: object
    ) -> None:
        with Connection(os.dup(pass_fds[0])) as connection:
            super().__init__(_serve, connection, environment=env)


def _serve(connection: Connection) -> None:
    from vlmsel.execution.executors import child

    child.main(connection.fileno())


def run_command(words: Sequence[str]) -> None:
    """Run the command line as its script does."""
    from vlmsel.cli import main

    sys.argv = ["vlmsel", *words]
    main()


def run_script(words: Sequence[str]) -> None:
    """Run a Python script with its arguments as its interpreter does."""
    sys.argv = list(words)
    runpy.run_path(words[0], run_name="__main__")
