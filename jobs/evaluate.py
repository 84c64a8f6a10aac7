"""The leave-one-out evaluation: `ray job submit --working-dir . -- python jobs/evaluate.py ARGS`.

ARGS are those of `vlmsel evaluate`.
"""

import sys

from vlmsel.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["evaluate", *sys.argv[1:]]))
