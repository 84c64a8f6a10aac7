"""A profile run: `ray job submit --working-dir . -- python jobs/profile.py ARGS`.

ARGS are those of `vlmsel profile`.
"""

import sys

from vlmsel.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["profile", "--executor", "ray", *sys.argv[1:]]))
