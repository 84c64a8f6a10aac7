"""The example of docs/guide/scores.md runs as it stands, and its table names every score."""

import re
from pathlib import Path

import pytest

from vlmsel.selection.transfer import ESTIMATORS

DOCS = Path(__file__).parents[3] / "docs" / "guide" / "scores.md"


@pytest.fixture(scope="module")
def text():
    return DOCS.read_text(encoding="utf-8")


def test_the_example_runs(text, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(compile(example, DOCS, "exec"), {"__name__": "example"})
    printed = capsys.readouterr().out
    assert "logme" in printed
    assert "60 labelled images of 3 classes" in printed


def test_every_score_has_a_row(text):
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(.*?)`", row)} == ESTIMATORS.keys()
