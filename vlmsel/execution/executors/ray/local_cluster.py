"""A Ray cluster of this machine for the time of a block: with a token, and gone afterwards."""

import logging
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import ray
import ray._raylet

from vlmsel.errors import ExecutionError, one_line
from vlmsel.execution.executors.ray import watchdog

TOKEN_BYTES = 32
# For the watchdog, which has killed what there was long before.
WATCHDOG_S = watchdog.SWEEP_S + 5.0


@contextmanager
def local_cluster(**options: Any) -> Iterator[None]:
    """Start a cluster and connect to it; it ends with the block, or with this process.

    Its processes accept calls on all addresses of the machine, so whoever calls them must know a
    random token that only this process and its children hold. RAY_AUTH_MODE=disabled does not
    change that.

    Args:
        options: of `ray.init`.

    Raises:
        ExecutionError: it does not start.
    """
    mark = secrets.token_hex(16)
    try:
        with _environment(
            RAY_AUTH_MODE="token",
            RAY_AUTH_TOKEN=secrets.token_hex(TOKEN_BYTES),
            RAY_USAGE_STATS_ENABLED=os.environ.get("RAY_USAGE_STATS_ENABLED", "0"),
        ):
            _read_environment_again()
            process = _watch(mark)
            try:
                # Without SPT_NOENV a process that sets its title overwrites its environment.
                with _environment(**{watchdog.VARIABLE: mark, "SPT_NOENV": "1"}):
                    _start(options)
                yield
            finally:
                ray.shutdown()
                _end(process)
    finally:
        _read_environment_again()


def _start(options: Mapping[str, Any]) -> None:
    try:
        ray.init(address="local", **options)
    except Exception as error:  # Ray raises just that where a machine is too busy
        message = one_line(error, 200)
        raise ExecutionError(
            f"Ray does not start on this machine: {message}. Try again when it is less busy; "
            "Ray's logs are in /tmp/ray/session_latest/logs"
        ) from error


def _read_environment_again() -> None:
    """Ray reads the mode once, when it is imported, and keeps the token."""
    # Compiled, without types.
    raylet: Any = ray._raylet
    raylet.Config.initialize("")
    raylet.AuthenticationTokenLoader.instance().reset_cache()


def _watch(mark: str) -> subprocess.Popen[bytes]:
    # A session of its own: what kills the driver's process group must not kill its watchdog.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", watchdog.__file__, str(os.getpid()), mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(WATCHDOG_S)
    except subprocess.TimeoutExpired:
        logging.getLogger(__name__).warning("processes of Ray are left: `ray stop --force`")


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
