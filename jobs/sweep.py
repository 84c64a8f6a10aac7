"""The sweep: `ray job submit --working-dir . -- python jobs/sweep.py ARGS`.

ARGS are those of `vlmsel sweep`.
"""

import sys
from pathlib import Path

# This folder off the path, the repository on it.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from vlmsel.cli.app import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run(["sweep", *sys.argv[1:]]))
