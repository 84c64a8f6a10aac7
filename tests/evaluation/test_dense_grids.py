"""The sweep's grids against the divergence and the ranking that they stand for."""

import numpy as np
import pytest

from tests.evaluation.conftest import make_tables
from vlmsel.evaluation.dense_grids import (
    divergence_columns,
    held_out_grid,
    ranking_rows,
    truth_rows,
)
from vlmsel.evaluation.held_out import hold_out
from vlmsel.selection import dcd_matrix, make_selector

OPTIONS = {"eps": 1e-6, "eps_mode": "absolute", "scale": "none", "pooled": False}


def test_divergences_are_those_of_the_matrix() -> None:
    accuracies, profiles = make_tables(7, holes=0.2)
    grid = held_out_grid(hold_out(accuracies, profiles))
    far = divergence_columns(grid, {"e0": 0.0, "e1": 3.0}, **OPTIONS).collect()
    assert len(far) == 5 * grid.n_models * grid.n_sources
    for name, eta in (("e0", 0.0), ("e1", 3.0)):
        known = far.drop_nulls(name)
        matrix = dcd_matrix(profiles, eta=eta, eps=1e-6)
        joined = known.join(matrix, on=["model", "pretrained", "source", "target"])
        assert len(joined) == len(known) > 0
        assert joined[name].to_numpy() == pytest.approx(joined["dcd"].to_numpy(), rel=1e-12)


def test_rankings_are_those_of_the_selector() -> None:
    accuracies, profiles = make_tables(8)
    held_out = hold_out(accuracies, profiles)
    grid = held_out_grid(held_out)
    far = divergence_columns(grid, {"e": 2.0}, **OPTIONS)
    rows = ranking_rows(far, grid, ["e"], {"g": 5.0}).join(truth_rows(grid), on="target").collect()
    selector = make_selector("dcd", eta=2.0, gamma=5.0, eps=1e-6)
    for task in held_out.tasks:
        got = rows.filter(target=task.problem.target).row(0, named=True)
        table = selector.rank(task.problem).table.join(task.truth, on=["model", "pretrained"])
        pairs = sorted(zip(got["score"], got["truth"], strict=True))
        expected = sorted(table.select("score", "accuracy").rows())
        assert np.array(pairs) == pytest.approx(np.array(expected))
