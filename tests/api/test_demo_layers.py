"""Heatmap of silenced layers for the demo: what it lacks."""

import pytest

from vlmsel.api import demo_layers
from vlmsel.api.demo_layers import explain_lack


def test_without_transformers_one_line_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo_layers, "find_spec", lambda _: None)
    lack = explain_lack()
    assert lack is not None
    assert "transformers is not installed (pip install 'vlmsel[transformers]')" in lack
    monkeypatch.setattr(demo_layers, "find_spec", lambda _: object())
    assert explain_lack() is None
