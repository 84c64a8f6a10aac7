"""Imports of a command before it works: no heavy ones for the list, no figures for select."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "open_clip", "transformers", "ray", "mlflow", "matplotlib", "sklearn", "pandas")
ARRAYS = ("polars", "pyarrow", "numpy", "scipy", "pydantic")
# In an interpreter in which one follows the other, what each may not have imported.
STEPS = (
    (["--help"], (*HEAVY, *ARRAYS)),
    (["--version"], (*HEAVY, *ARRAYS)),
    (["select", "--help"], HEAVY),
    (["evaluate", "--help"], HEAVY),
    (["tasks", "--tasks", "LAB"], HEAVY),
)
CODE = """
import sys
from vlmsel.cli import run
for args, forbidden in {steps!r}:
    code = run(args)
    loaded = [name for name in forbidden if name in sys.modules]
    if code or loaded:
        sys.exit(f"vlmsel {{' '.join(args)}}: code {{code}}, loaded {{loaded}}")
import vlmsel.api.image_selection, vlmsel.api.ranking
from vlmsel.selection.registry import selector_names
selector_names()
if loaded := [name for name in {ranking!r} if name in sys.modules]:
    sys.exit(f"ranking: loaded {{loaded}}")
print("done")
"""


def test_neither_help_nor_ranking_imports_a_library_that_takes_longer_than_it(lab):
    steps = [([str(lab.tasks) if w == "LAB" else w for w in args], to) for args, to in STEPS]
    code = CODE.format(steps=steps, ranking=("scipy", *HEAVY))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "done"
