"""Two command lines one after the other, in a process whose threads and loggers nobody else needs.

It imports little: the process that runs it starts with these imports.
"""

import sys
from collections.abc import Sequence


def run_and_count(first: Sequence[str], second: Sequence[str]) -> None:
    """Run both; say torch's threads on a line for each call of the attribution."""
    import torch

    from vlmsel.cli.app import run
    from vlmsel.probes import profile_probe

    attribute = profile_probe.attribute

    def count(*args: object, **more: object) -> object:
        print("threads", torch.get_num_threads())  # noqa: T201
        return attribute(*args, **more)  # type: ignore[arg-type]

    profile_probe.attribute = count  # type: ignore[assignment]
    if code := run(list(first)):
        sys.exit(code)
    sys.stderr.write("--\n")
    sys.exit(run(list(second)))
