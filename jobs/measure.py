"""A measuring run: `ray job submit --working-dir . -- python jobs/measure.py KIND... ARGS`.

KIND and ARGS are those of `vlmsel measure`.
"""

import sys
from pathlib import Path

# This folder off the path, the repository on it.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from vlmsel.cli.app import run  # noqa: E402

if __name__ == "__main__":
    sys.exit(run(["measure", "--executor", "ray", *sys.argv[1:]]))
