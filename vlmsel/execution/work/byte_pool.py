"""A bound on the bytes that several threads hold at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class BytePool:
    """Bytes to be held for a while; who asks for more than is free waits.

    Who asks for more than there is in all gets it, alone: nothing is refused.

    Args:
        max_bytes: of all holders.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, n_bytes: int) -> Iterator[None]:
        """Hold bytes while the body runs."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._held or self._held + n_bytes <= self._max_bytes
            )
            self._held += n_bytes
        try:
            yield
        finally:
            with self._changed:
                self._held -= n_bytes
                self._changed.notify_all()
