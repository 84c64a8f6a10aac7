"""Workers of Ray whose imports are done: forked from a process that has imported torch.

Ray starts a fresh interpreter per worker, which imports torch and open_clip for longer than most
tests measure. Here the command that Ray starts asks this process for a fork, which runs Ray's own
script of a worker with the same arguments, environment and output.
"""

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from tests import warm_ray_client
from tests.warm_processes import CONTEXT, become, run_script


@contextmanager
def warm_workers() -> Iterator[str]:
    """Serve forks for the time of the block; gives `py_executable` of a runtime environment."""
    with tempfile.TemporaryDirectory(prefix="warm-") as folder, socket.socket(socket.AF_UNIX) as at:
        path = str(Path(folder) / "socket")
        at.bind(path)
        at.listen()
        threading.Thread(target=_serve, args=(at,), daemon=True).start()
        try:
            yield f"{sys.executable} -I -S {warm_ray_client.__file__} {path}"
        finally:
            # Ends the thread, which to close the socket would not.
            at.shutdown(socket.SHUT_RDWR)


def _serve(at: socket.socket) -> None:
    while True:
        try:
            client, _ = at.accept()
        except OSError:
            return
        # A client may die before it has asked.
        with client, suppress(OSError, ValueError):
            _fork(client)


def _fork(client: socket.socket) -> None:
    _, ends, _, _ = socket.recv_fds(client, 1, 2)
    out, err = (Connection(end) for end in ends)
    with out, err, client.makefile("rb") as asked:
        words, environment, folder = json.loads(asked.read())
        # The client waits until nobody holds its socket.
        with Connection(os.dup(client.fileno())) as held:
            args = (run_worker, (words, held), out, err, environment, folder)
            CONTEXT.Process(target=become, args=args, daemon=True).start()


def run_worker(words: Sequence[str], _held: Connection) -> None:
    """Run Ray's script; Ray is imported there, and reads its settings of the environment."""
    run_script(words)
