"""The leave-one-out evaluation: `ray job submit --working-dir . -- python jobs/evaluate.py ARGS`.

ARGS are those of `vlmsel evaluate`.
"""

import sys
from pathlib import Path

# This folder off the path, the repository on it.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from vlmsel.cli.app import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run(["evaluate", *sys.argv[1:]]))
