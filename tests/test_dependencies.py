"""Licences are known, and an audit that could not be made says so."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "dependencies.py"


@pytest.fixture(scope="module")
def dependencies():
    spec = importlib.util.spec_from_file_location("dependencies", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_licence_of_every_package_that_runs_is_known(dependencies):
    rows = dependencies.licences(dependencies.locked())
    assert len(rows) > 100
    assert [row for row in rows if row[3].startswith("UNKNOWN")] == []


@pytest.mark.parametrize(
    ("licence", "is_known"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("MPL-2.0", True),
        ("LicenseRef-NVIDIA-Proprietary", True),
        ("GPL-3.0-only", False),
        ("AGPL-3.0", False),
        ("SSPL", False),
        ("", False),
    ],
)
def test_licences_that_nobody_looked_at_are_found(dependencies, licence, is_known):
    assert (dependencies.judged(licence) is not None) == is_known


def answers(text, code=0, error=""):
    program = (
        f"import sys; sys.stdout.write({text!r}); sys.stderr.write({error!r}); sys.exit({code})"
    )
    return [sys.executable, "-c", program]


SOUND = {"name": "a", "version": "1", "vulns": []}
HOLE = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1"}]}


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        (answers(json.dumps({"dependencies": [SOUND]})), 0, "1 packages checked, no known"),
        (answers(json.dumps({"dependencies": [SOUND, HOLE]}), 1), 1, "b 2: PYSEC-1"),
        (answers(json.dumps({"dependencies": []})), 3, "not checked"),
        (answers("", 1, "Traceback\nConnectionError: no way"), 3, "not checked: no database"),
        (answers("{", 0), 3, "not checked: no database answered (no answer)"),
        (["/no/such/program"], 3, "not checked: FileNotFoundError"),
    ],
)
def test_an_audit_says_what_was_checked(dependencies, command, code, reason):
    given, line = dependencies.audit(command)
    assert given == code
    assert reason in line


def test_a_database_that_does_not_answer_is_none(dependencies):
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    code, line = dependencies.audit(command, timeout_s=0.5)
    assert code == 3
    assert line.startswith("not checked: TimeoutExpired")
