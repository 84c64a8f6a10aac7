"""A profile run: `ray job submit --working-dir . -- python jobs/profile.py ARGS`.

ARGS are those of `vlmsel profile`.
"""

import sys
from pathlib import Path

# This folder off the path, the repository on it: `profile` here would hide the standard library's.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from vlmsel.cli.app import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run(["profile", "--executor", "ray", *sys.argv[1:]]))
