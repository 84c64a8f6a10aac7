"""Progress of a leave-one-out, for whoever wants to show it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Observer = Callable[[int, int], None]

_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observe_judging(observer: Observer) -> Iterator[None]:
    """Call `observer(done, targets)` after every target that is judged in the body."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def report_judged(done: int, targets: int) -> None:
    """Tell the observer, if there is one, how many targets are done."""
    observer = _observer.get()
    if observer is not None:
        observer(done, targets)
