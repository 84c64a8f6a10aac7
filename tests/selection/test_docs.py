"""The examples of docs/internals/selection.md run as they stand."""

import re
from pathlib import Path

import numpy as np
import pytest

from vlmsel.selection import registry
from vlmsel.selection.registry import make_selector, selector_names

DOCS = Path(__file__).parents[2] / "docs" / "internals" / "selection.md"


@pytest.fixture(scope="module")
def text() -> str:
    return DOCS.read_text(encoding="utf-8")


@pytest.fixture
def examples(text, monkeypatch) -> list[str]:
    selector_names()
    monkeypatch.setattr(registry, "_known", dict(registry._known))
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_a_selector_of_your_own(examples, problem):
    assert len(examples[0].splitlines()) < 20
    exec(compile(examples[0], DOCS, "exec"), {"__name__": "example"})
    ranking = make_selector("backwards").rank(problem)
    assert sorted(ranking.table["model"]) == list("abcdef")
    weights = {
        name: make_selector(name).rank(problem).weights["weight"].to_numpy()
        for name in ("backwards", "dcd-pooled")
    }
    assert np.abs(weights["backwards"] - weights["dcd-pooled"]).max() > 0.01


def test_many_zoos(examples, problem):
    scope = {"np": np, "make_selector": make_selector, "problem": problem}
    exec(compile(examples[1], DOCS, "exec"), scope)
    assert scope["scores"].shape == (1000, 4)
    assert np.isfinite(scope["scores"]).all()


def test_every_selector_is_in_the_table(text):
    listed = set(re.findall(r"^\| `([a-z0-9-]+)` \|", text, flags=re.MULTILINE))
    shipped = set(selector_names())
    assert listed == shipped
