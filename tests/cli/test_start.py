"""Imports of a command before it works: no heavy ones for the list, no figures for select."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "open_clip", "transformers", "ray", "mlflow", "matplotlib", "sklearn", "pandas")
CODE = """
import sys
from vlmsel.cli import run
code = run({args!r})
loaded = [name for name in {forbidden!r} if name in sys.modules]
sys.exit("loaded: " + ", ".join(loaded) if loaded else code)
"""


@pytest.mark.parametrize(
    ("args", "forbidden"),
    [
        (["--help"], (*HEAVY, "polars", "pyarrow", "numpy", "scipy", "pydantic")),
        (["--version"], (*HEAVY, "polars", "pyarrow", "numpy", "scipy", "pydantic")),
        (["select", "--help"], HEAVY),
        (["evaluate", "--help"], HEAVY),
        (["tasks", "--tasks", "LAB"], HEAVY),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_nothing_heavy_is_imported(lab, args, forbidden):
    args = [str(lab.tasks) if word == "LAB" else word for word in args]
    code = CODE.format(args=args, forbidden=forbidden)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_ranking_imports_no_library_that_takes_longer_than_it():
    code = (
        "import sys, vlmsel.api.image_selection, vlmsel.api.ranking;"
        "from vlmsel.selection.registry import selector_names; selector_names();"
        f"print([name for name in {('scipy', *HEAVY)!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
