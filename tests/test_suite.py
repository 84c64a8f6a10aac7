"""The suite's own footing."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "open_clip", "timm", "transformers", "captum", "ray", "mlflow")
# Of the pure folders, what is torch's own affair.
TORCH_FILES = {"tests/api/test_exactness.py", "tests/cli/commands/test_exactness.py"}
IMPORT = """
import importlib
import sys
for name in {modules!r}:
    importlib.import_module(name)
loaded = [name for name in {heavy!r} if name in sys.modules]
sys.exit("loaded: " + ", ".join(loaded) if loaded else 0)
"""


CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")
# Constants that a test may set, by file.
SETTABLE = {
    # Of huggingface_hub: the folder of its cache.
    ("tests/zoo/test_weights.py", "HF_HUB_CACHE"),
    # Of moto: requests before it checks permissions.
    ("tests/store/test_filesystem.py", "INITIAL_NO_AUTH_ACTION_COUNT"),
    # The next release: the number is in every key, and no function of one release takes it.
    ("tests/api/test_upkeep.py", "SCHEMA_VERSION"),
}


def set_names(text: str) -> Iterator[str]:
    """Names of attributes that calls of `setattr` in some code set, where they are literals."""
    for call in ast.walk(ast.parse(text)):
        if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith("setattr"):
            continue
        given = {key.arg: key.value for key in call.keywords}
        given |= dict(zip(("target", "name"), call.args, strict=False))
        # A dotted string, with the value after it, or an object and a name.
        for argument in (given.get("target"), given.get("name")):
            parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
            last = parts[-1]
            if isinstance(last, ast.Constant) and isinstance(last.value, str):
                yield last.value.rpartition(".")[2]
                break


def test_no_test_sets_a_constant() -> None:
    """What a test bends is a parameter, with the constant as its default."""
    found = set()
    for path in (ROOT / "tests").rglob("*.py"):
        text = path.read_text()
        names = set_names(text) if "setattr(" in text else ()
        place = path.relative_to(ROOT).as_posix()
        found |= {(place, name) for name in names if CONSTANT.fullmatch(name)}
    assert found == SETTABLE


@pytest.mark.parametrize(
    "call",
    [
        "monkeypatch.setattr(module, 'MAX_BYTES', 5)",
        "patch.setattr('vlmsel.tasks.decoder.MAX_BYTES', 5)",
        "patch.setattr(f'vlmsel.{module}.MAX_BYTES', 'RGB', raising=False)",
        "monkeypatch.setattr(target=module, name='MAX_BYTES', value=5)",
        "setattr(module, 'MAX_BYTES', 5)",
    ],
)
def test_a_constant_is_seen_however_it_is_set(call: str) -> None:
    assert list(set_names(f"def test(monkeypatch):\n    {call}\n")) == ["MAX_BYTES"]


def test_tests_of_one_group_stay_on_one_worker(tmp_path: Path) -> None:
    """pytest 9.2 with xdist 3.8 silently spreads them, and two Ray clusters meet."""
    names = [f"test_{n}" for n in range(4)]
    head = "import os\nimport pytest\npytestmark = pytest.mark.xdist_group('one')\n"
    body = "def {}():\n    open('workers', 'a').write(os.environ['PYTEST_XDIST_WORKER'] + '\\n')\n"
    (tmp_path / "test_group.py").write_text(head + "".join(body.format(name) for name in names))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", "2", "--dist=loadgroup"]
    # Without the other plugins, which cost seconds a process.
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    workers = (tmp_path / "workers").read_text().split()
    assert len(workers) == len(names)
    assert len(set(workers)) == 1


# A fresh interpreter that imports hundreds of files.
@pytest.mark.timeout(120)
def test_collecting_what_is_fast_loads_nothing_heavy() -> None:
    """Of the pure folders in the Makefile; a test there that needs torch imports it itself.

    The files are imported as modules: collecting them costs four times as much.
    """
    (line,) = re.findall(
        r"^PURE +:= .*tests/,(.*)\)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    folders = [ROOT / "tests" / name for name in line.split()]
    files = [ROOT / "tests" / "conftest.py"]
    for folder in folders:
        files += sorted(folder.rglob("conftest.py")) + sorted(folder.rglob("test_*.py"))
    names = [file.relative_to(ROOT).as_posix() for file in files]
    assert set(names) > TORCH_FILES
    light = [name for name in names if name not in TORCH_FILES]
    modules = [name.removesuffix(".py").replace("/", ".") for name in light]
    code = IMPORT.format(modules=modules, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]


def test_every_module_of_api_has_tests_under_its_name() -> None:
    """Whoever changes a call finds what is promised of it; no test file outlives its module."""
    modules = {path.stem for path in (ROOT / "vlmsel" / "api").glob("[!_]*.py")}
    tested = {path.stem for path in (ROOT / "tests" / "api").glob("test_*.py")}
    assert tested == {f"test_{module}" for module in modules}
