"""The sweep: `ray job submit --working-dir . -- python jobs/sweep.py ARGS`.

ARGS are those of `vlmsel sweep`.
"""

import sys

from vlmsel.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["sweep", *sys.argv[1:]]))
