"""The torch device of this machine."""

import torch

from vlmsel.errors import ExecutionError, first_line


def best_device() -> str:
    """A GPU if torch sees one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def check_device(name: str) -> str:
    """The name of a device that is there.

    Raises:
        ExecutionError: torch does not know it or does not see it here.
    """
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ExecutionError(
            f"device {name!r} is not there: use cpu or leave it out ({first_line(error)})"
        ) from error
    return name
