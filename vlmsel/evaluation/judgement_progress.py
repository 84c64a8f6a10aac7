"""Progress of a leave-one-out, for whoever wants to show it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[int, int], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listen_to_judging(listener: Listener) -> Iterator[None]:
    """Call `listener(done, targets)` after every target that is judged in the body."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report_judged(done: int, targets: int) -> None:
    """Tell the listener, if there is one, how many targets are done."""
    listener = _listener.get()
    if listener is not None:
        listener(done, targets)
