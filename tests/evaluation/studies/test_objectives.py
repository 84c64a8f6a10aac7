"""Variants side by side against a reference, and their page."""

import numpy as np
import polars as pl
import pytest

from vlmsel.evaluation.held_out import hold_out
from vlmsel.evaluation.studies.objectives import (
    COMPARED,
    noise_rows,
    summarise,
    symmetry_rows,
    variant_rows,
)
from vlmsel.evaluation.studies.objectives_page import (
    ObjectivesHead,
    mark,
    objectives_page,
    rows_markdown,
    verdict,
)

CELL = ["model", "pretrained", "task"]


@pytest.fixture(scope="module")
def tables():
    """Tasks in two kinds; `sharp` profiles tell them apart, `blunt` ones are noise."""
    rng = np.random.default_rng(0)
    shape = {(m, k): rng.lognormal(size=4) for m in "abcde" for k in (0, 1)}
    order = {0: np.linspace(0.9, 0.3, 5), 1: np.linspace(0.3, 0.9, 5)}
    known, sharp, blunt = [], [], []
    for i in range(12):
        for place, m in enumerate("abcde"):
            cell = (m, "p", f"t{i:02}")
            known.append((*cell, float(order[i % 2][place] + rng.normal(0, 0.01))))
            sharp.append((*cell, (shape[m, i % 2] * rng.lognormal(0, 0.05, 4)).tolist()))
            blunt.append((*cell, rng.lognormal(size=4).tolist()))

    def frame(rows, value):
        return pl.DataFrame(rows, schema=[*CELL, value], orient="row")

    return frame(known, "acc1"), frame(sharp, "profile"), frame(blunt, "profile")


@pytest.fixture(scope="module")
def rows(tables):
    accuracies, sharp, blunt = tables
    return variant_rows({"sharp": sharp, "blunt": blunt}, accuracies, "sharp")


def test_each_selector_has_every_variant_against_the_reference(rows):
    assert rows["selector"].unique(maintain_order=True).to_list() == list(COMPARED)
    assert rows["variant"].unique(maintain_order=True).to_list() == ["sharp", "blunt"]
    found = rows.filter(selector="dcd-pooled", metric="tau")
    sharp, blunt = found.rows(named=True)
    assert (sharp["change"], sharp["change_low"], sharp["change_high"]) == (0, 0, 0)
    assert sharp["gain_low"] > 0
    assert blunt["change_high"] < 0
    assert blunt["change"] == pytest.approx(blunt["mean"] - sharp["mean"])
    # Both have the same rival.
    assert sharp["mean"] - sharp["gain"] == pytest.approx(blunt["mean"] - blunt["gain"])


def test_noise_on_sources_and_on_targets(tables):
    accuracies, sharp, _ = tables
    held_out = hold_out(accuracies, sharp)
    found = noise_rows(held_out, "no noise", sigmas=(2.0,), repeats=2, seed=1)
    names = ["no noise", "noise 2 on the sources", "noise 2 on the target"]
    assert found["variant"].unique(maintain_order=True).to_list() == names
    changes = found.filter(metric="tau", selector="dcd-pooled")["change"].to_list()
    assert changes[0] == 0
    assert max(changes[1:]) < 0


def test_distances_are_compared_with_the_asymmetric_one(tables):
    accuracies, sharp, _ = tables
    found = symmetry_rows(hold_out(accuracies, sharp)).filter(metric="ndcg5")
    reference = found.filter(variant="dcd-pooled").row(0, named=True)
    assert reference["change"] == 0
    assert set(found["variant"]) > {"symmetric-l1", "dcd-uniform", "average-rank"}


def test_values_by_hand():
    def metrics(values):
        cells = [(s, f"t{i}", "tau", v) for s, some in values.items() for i, v in enumerate(some)]
        return pl.DataFrame(cells, schema=["selector", "target", "metric", "value"], orient="row")

    base = metrics({"average-rank": [0.0, 0.2], "dcd": [0.5, 0.5]})
    other = metrics({"average-rank": [0.0, 0.2], "dcd": [0.7, 0.9]})
    first, second = summarise({"a": base, "b": other}, "a").rows(named=True)
    assert (first["gain"], first["change"]) == (pytest.approx(0.4), 0)
    assert (second["gain"], second["change"]) == (pytest.approx(0.7), pytest.approx(0.3))
    assert (second["change_low"], second["change_high"]) == (pytest.approx(0.2), pytest.approx(0.4))


def row(variant, change, low, high, *, metric="tau", group="settings", selector="dcd-pooled"):
    gain = {"gain": 0.1, "gain_low": 0.05, "gain_high": 0.2}
    shown = {"change": change, "change_low": low, "change_high": high}
    keys = {"zoo": "store", "group": group, "variant": variant, "selector": selector}
    return {**keys, "metric": metric, "n_targets": 12, "mean": 0.5, **gain, **shown}


def test_the_words_follow_the_numbers():
    rows = pl.DataFrame(
        [
            row("l2", 0.0, 0.0, 0.0),
            row("up", 0.1, 0.05, 0.2),
            row("down", -0.1, -0.2, -0.05),
            row("even", 0.01, -0.1, 0.1),
            row("torn", 0.1, 0.05, 0.2),
            row("torn", -0.1, -0.2, -0.05, metric="ndcg5"),
            row("other", -0.1, -0.2, -0.05, selector="dcd"),
        ]
    )
    text = verdict(rows, "store")
    assert "Better than its reference in NDCG@5 or tau: up." in text
    assert "Worse: down." in text
    assert "Better in one and worse in the other: torn." in text
    assert "No difference that these tasks can show: even." in text
    assert "other," not in text
    assert "l2" not in text


def test_a_page_has_its_command_machine_and_date(rows):
    whole = rows.select(pl.lit("store").alias("zoo"), pl.lit("settings").alias("group"), pl.all())
    head = ObjectivesHead("`vlmsel study objectives` on 2026-01-02, 2 cores", ["store: 5 models"])
    page = objectives_page(head, whole)
    assert "`vlmsel study objectives` on 2026-01-02, 2 cores" in page
    assert "- store: 5 models" in page
    assert page.count("| blunt |") == len(COMPARED)
    assert "## Left out" not in page
    table = rows_markdown(whole.filter(selector="dcd-pooled"))
    assert "selector" not in table
    blunt = whole.filter(variant="blunt", selector="dcd-pooled", metric="tau").row(0, named=True)
    assert mark(blunt, "change") == "-"
    assert f"{blunt['change']:+.3f} [{blunt['change_low']:+.3f}" in table
    regret = row("up", 0.1, 0.05, 0.2, metric="regret1")
    assert mark(regret, "change") == "-"
