"""Silence for transformers' commentary and bars; what matters in it is raised as an error."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Let transformers say errors only, and show no bars."""
    from transformers.utils import logging as commentary

    before, bars = commentary.get_verbosity(), commentary.is_progress_bar_enabled()
    commentary.set_verbosity(logging.ERROR)
    commentary.disable_progress_bar()
    try:
        yield
    finally:
        commentary.set_verbosity(before)
        if bars:
            commentary.enable_progress_bar()
