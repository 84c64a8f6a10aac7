"""The import rules of docs/internals/architecture.md, proved in fresh interpreters."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "open_clip", "ray", "mlflow")

# One interpreter a list: what a module may not pull in, none before it pulls in either.
CHAINS = {
    "light": [
        ("vlmsel", (*HEAVY, "polars", "pydantic")),
        *(
            (f"vlmsel.{name}", HEAVY)
            for name in (
                "errors",
                "settings",
                "cli",
                "api.select",
                "zoo.catalog",
                "tasks.task_catalog",
                "tasks.index",
                "measurements",
                "store",
                "evidence.accuracies",
                "evidence.evidence",
                "selection",
                "evaluation",
                "report",
                "execution.plan.work_plan",
                "api.label",
            )
        ),
        *(
            (f"vlmsel.{name}", ("starlette", "uvicorn"))
            for name in ("cli.commands.label", "api.label")
        ),
        ("vlmsel.labelling.page_server", HEAVY),
    ],
    "torch": [
        ("vlmsel.attribution", ("open_clip", "ray", "mlflow", "polars", "pyarrow")),
        ("vlmsel.execution.executors.local", ("ray", "mlflow")),
    ],
    "mlflow": [("vlmsel.tracking", ("torch", "ray", "sklearn"))],
}
CODE = """
import importlib, sys
for module, forbidden in {chain!r}:
    importlib.import_module(module)
    loaded = [name for name in forbidden if name in sys.modules]
    if loaded:
        sys.exit(module + " loaded: " + ", ".join(loaded))
"""


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_modules_neither_pull_in_others_nor_say_a_word(chain):
    code = CODE.format(chain=chain)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == "", "an import warns"


def test_the_door_for_programs_is_found_late():
    import vlmsel
    from vlmsel.api.select import select

    assert vlmsel.select is select
    with pytest.raises(AttributeError, match="has no attribute 'selct'"):
        _ = vlmsel.selct


def test_layers_and_forbidden_imports():
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_front_door_loads_no_torch():
    code = (
        "import sys, vlmsel\n"
        "assert vlmsel.__version__\n"
        "for name in vlmsel.__all__: getattr(vlmsel, name)\n"
        "assert 'average-rank' in vlmsel.selectors()\n"
        "heavy = ('torch', 'open_clip', 'ray', 'mlflow', 'matplotlib')\n"
        "loaded = [name for name in heavy if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_module_imports_itself_in_a_circle():
    """Imports within functions count, too; a package's `__init__` only hands names on."""
    files = {path: _dotted(path) for path in (ROOT / "vlmsel").rglob("*.py")}
    modules = {name for path, name in files.items() if path.stem != "__init__"}
    graph: dict[str, set[str]] = {}
    for path, name in files.items():
        if name in modules:
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
            named = {node.module for node in froms}
            named |= {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
            # A child process names its own module.
            graph[name] = named & modules - {name}
    TopologicalSorter(graph).prepare()


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)
