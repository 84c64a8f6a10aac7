"""The nightly refresh: `ray job submit --working-dir . -- python jobs/refresh.py ARGS`.

ARGS are those of `vlmsel refresh`.
"""

import sys
from pathlib import Path

# This folder off the path, the repository on it.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from vlmsel.cli.app import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run(["refresh", "--executor", "ray", *sys.argv[1:]]))
