"""The nightly refresh: `ray job submit --working-dir . -- python jobs/refresh.py ARGS`.

ARGS are those of `vlmsel refresh`.
"""

import sys

from vlmsel.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["refresh", "--executor", "ray", *sys.argv[1:]]))
