"""The import rules of docs/architecture.md, proved in fresh interpreters."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "open_clip", "ray", "mlflow")

LIGHT = {
    "vlmsel": (*HEAVY, "polars", "pydantic"),
    "vlmsel.errors": HEAVY,
    "vlmsel.settings": HEAVY,
    "vlmsel.cli": HEAVY,
    "vlmsel.api.selecting": HEAVY,
    "vlmsel.zoo.catalog": HEAVY,
    "vlmsel.tasks.catalog": HEAVY,
    "vlmsel.tasks.index": HEAVY,
    "vlmsel.store": HEAVY,
    "vlmsel.selection": HEAVY,
    "vlmsel.evaluation": HEAVY,
    "vlmsel.report": HEAVY,
    "vlmsel.execution.plan": HEAVY,
    "vlmsel.attribution": ("open_clip", "ray", "mlflow", "polars", "pyarrow"),
    "vlmsel.execution.local": ("ray", "mlflow"),
    "vlmsel.tracking": ("torch", "ray", "sklearn"),
}


@pytest.mark.parametrize(("module", "forbidden"), LIGHT.items(), ids=LIGHT)
def test_module_does_not_pull_in(module, forbidden):
    code = (
        f"import sys, {module}\n"
        f"loaded = [name for name in {forbidden!r} if name in sys.modules]\n"
        "sys.exit('loaded: ' + ', '.join(loaded) if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_door_for_programs_is_found_late():
    import vlmsel
    from vlmsel.api.selecting import select

    assert vlmsel.select is select
    with pytest.raises(AttributeError, match="has no attribute 'selct'"):
        _ = vlmsel.selct


def test_layers_and_forbidden_imports():
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
