"""Silence for open_clip's running commentary; what matters in it is raised as a ModelError."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_open_clip() -> Iterator[None]:
    """Drop the records that open_clip's files write to the root logger, and only those.

    `logging.warning()` on an unconfigured root installs a handler for good; a NullHandler prevents
    that.
    """
    root = logging.getLogger()
    holder = logging.NullHandler()
    root.addHandler(holder)
    root.addFilter(_is_not_open_clip)
    try:
        yield
    finally:
        root.removeFilter(_is_not_open_clip)
        root.removeHandler(holder)


def _is_not_open_clip(record: logging.LogRecord) -> bool:
    return "open_clip" not in record.pathname
