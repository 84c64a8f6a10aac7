"""CONTRIBUTING.md: its recipes, done word for word on a copy of the package, and its tour."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.warm_processes import WarmProcess

# A process that may have to import torch: a busy machine needs longer.
pytestmark = pytest.mark.timeout(180)
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILE = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DIFF = re.compile(r"^```diff\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Weights of the embedded models: linked, not copied.
WEIGHTS = ("models", "vlms")


def copy_package(root: Path) -> None:
    """Copy the package and its tests, without the bytes of the embedded models."""
    # Bytecode comes along: modification times are kept.
    # But for what other workers are writing at this moment.
    ignore = shutil.ignore_patterns(*WEIGHTS, "*.pyc.*")
    shutil.copytree(ROOT / "vlmsel", root / "vlmsel", ignore=ignore)
    shutil.copytree(ROOT / "tests", root / "tests", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", root)
    for name in WEIGHTS:
        (root / "vlmsel" / "demo" / name).symlink_to(ROOT / "vlmsel" / "demo" / name)


def apply_diff(root: Path, text: str) -> None:
    """Apply the hunks of a diff of the page; what a hunk expects must stand in its file once."""
    for part in re.split(r"^--- ", text, flags=re.MULTILINE)[1:]:
        name, _, hunks = part.partition("\n")
        path = root / name
        for hunk in hunks.split("@@\n"):
            lines = hunk.splitlines(keepends=True)
            old, new = (
                "".join(line[1:] or "\n" for line in lines if line[0] in signs)
                for signs in (" -\n", " +\n")
            )
            code = path.read_text(encoding="utf-8")
            assert code.count(old) == 1, f"{name} does not hold once:\n{old}"
            path.write_text(code.replace(old, new), encoding="utf-8")


def run_tests(root: Path, tests: list[str]) -> None:
    """Run tests of a copy of the package, in a process that may have imported the original."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("vlmsel", "tests")]:
        del sys.modules[name]
    os.chdir(root)
    sys.path.insert(0, str(root))
    # Plugins of pytest may be imported, too, and hold no assertions of these tests.
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    sys.exit(pytest.main(["-q", "-n", "0", *quiet, *tests]))


def test_the_recipes_work_as_they_stand(tmp_path):
    copy_package(tmp_path)
    files = FILE.findall(PAGE)
    for name, code in files:
        assert not (tmp_path / name).exists(), name
        (tmp_path / name).write_text(code, encoding="utf-8")
    for text in DIFF.findall(PAGE):
        apply_diff(tmp_path, text)
    tests = [name for name, _ in files if name.startswith("tests/")]
    assert len(tests) == 3
    # Third-party modules are imported already; the package and its tests are those of the copy.
    done = WarmProcess(run_tests, tmp_path, tests)
    output, errors = done.communicate()
    assert done.returncode == 0, output + errors
    assert "3 passed" in output


def test_the_tour_has_six_files():
    tour = PAGE.partition("\n## A tour of six files")[2].partition("\n## ")[0]
    files = re.findall(r"^\d\. \[`(\S+)`\]\((\S+)\)", tour, re.MULTILINE)
    assert len(files) == 6
    assert all(name == link and (ROOT / name).is_file() for name, link in files)


def test_ten_sentences_are_mended():
    words = PAGE.partition("| before | after |")[2]
    assert len(re.findall(r"^\| \S.* \| \S.* \|$", words, re.MULTILINE)) == 10
