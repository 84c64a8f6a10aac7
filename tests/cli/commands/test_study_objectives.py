"""``vlmsel study objectives`` on the small laboratory."""

import json
import re
from functools import partial

import polars as pl
import pytest

from vlmsel.api import objective_study
from vlmsel.api.objective_study import StudySizes


@pytest.fixture
def quick(monkeypatch):
    """A study of two objectives, few images and little noise."""
    variants = ("l2", "score-class, both towers")
    sizes = StudySizes(variants, few=8, many=10, sigmas=(0.5,), repeats=1)
    small = partial(objective_study.study_objectives, sizes=sizes)
    monkeypatch.setattr(objective_study, "study_objectives", small)


def test_one_command_measures_compares_and_writes_a_page(own_lab, few, vlmsel, quick, tmp_path):
    page = tmp_path / "objectives.md"
    args = [*few, "--store", own_lab.store, "--tracking-uri", own_lab.uri, "--out", tmp_path]
    answer = vlmsel("study", "objectives", *args, "--markdown", page, "--json")
    assert answer.code == 0, answer.err
    rows = pl.DataFrame(json.loads(answer.out)["rows"])
    assert rows["group"].unique(maintain_order=True).to_list() == [
        "objectives by gradient_x_activation",
        "attributions",
        "images",
        "symmetry",
        "noise",
        "one family for the others",
        "the other families for one",
    ]
    assert {"score-class, both towers", "dcd-cka, carried"} <= set(rows["variant"])
    text = page.read_text()
    assert re.search(r"Made by `vlmsel.*` on \d{4}-\d\d-\d\d, \d+ cores", text)
    assert "What helps and what does not" in text
    assert (tmp_path / "objectives.svg").exists()
    # All is measured: the second time nothing is, and the numbers are the same.
    before = sorted(own_lab.store.rglob("*.parquet"))
    again = vlmsel("study", "objectives", *args)
    assert again.code == 0, again.err
    assert "nothing to do" in again.err
    assert sorted(own_lab.store.rglob("*.parquet")) == before
    assert "Across architectures" in again.out


def test_options_without_effect_are_refused(lab, vlmsel, tmp_path):
    args = ["--store", lab.store, "--out", tmp_path, "--tracking-uri", lab.uri]
    answer = vlmsel("study", "objectives", *args, "--selector", "dcd")
    assert "--selector has no effect on study objectives" in answer.error
    answer = vlmsel("study", "objectives", *args, "--rho", "0.5")
    assert "--rho belongs to study labels, not to objectives" in answer.error
    answer = vlmsel("study", "images", *args, "--attribution", "gradient")
    assert "--attribution belongs to study objectives, not to images" in answer.error
