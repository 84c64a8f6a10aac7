"""The suite's own footing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "open_clip", "timm", "transformers", "captum", "ray", "mlflow")
COLLECT = """
import sys
import pytest
code = pytest.main(["--collect-only", "-qq", *{folders!r}])
loaded = [name for name in {heavy!r} if name in sys.modules]
sys.exit("loaded: " + ", ".join(loaded) if loaded else int(code))
"""


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


# A fresh interpreter that collects thousands of tests.
@pytest.mark.timeout(120)
def test_collecting_what_is_fast_loads_nothing_heavy() -> None:
    """Of the pure folders in the Makefile; a test there that needs torch imports it itself."""
    (line,) = re.findall(
        r"^PURE +:= .*tests/,(.*)\)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    folders = [f"tests/{name}" for name in line.split()]
    assert all((ROOT / folder).is_dir() for folder in folders)
    code = COLLECT.format(folders=folders, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
