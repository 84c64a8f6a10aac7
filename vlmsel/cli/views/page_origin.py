"""Origin of a page of results: the command that made it, the date and the machine."""

import os
import platform
import sys
from datetime import date

import numpy as np

from vlmsel.redaction import redact


def page_origin() -> str:
    """Return "`COMMAND` on DATE, MACHINE" of this process, without secrets."""
    command = " ".join(["vlmsel", *map(redact, sys.argv[1:])])
    machine = (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}"
    )
    return f"`{command}` on {date.today().isoformat()}, {machine}"
