import numpy as np
import polars as pl
import pytest

from vlmsel.evaluation.held_out import hold_out
from vlmsel.evaluation.studies.label_calibration import calibration_of_advice, cost_of_stopping
from vlmsel.selection.posterior.advice import CHECKS


@pytest.fixture(scope="module")
def held_out():
    """Tasks that are drawn as the posterior believes: a level, a spread, and correlated models."""
    rng = np.random.default_rng(0)
    skill = rng.normal(0, 0.08, 12)
    rows = []
    for task in range(12):
        y = rng.normal(0.9, 0.2) + np.exp(rng.normal(0, 0.3)) * (skill + rng.normal(0, 0.06, 12))
        accuracy = np.sin(np.clip(y, 0.05, 1.5)) ** 2
        rows += [(f"m{i}", "x", f"t{task}", float(p)) for i, p in enumerate(accuracy)]
    names = ["model", "pretrained", "task", "acc1"]
    return hold_out(pl.DataFrame(rows, schema=names, orient="row"))


def test_intervals_hold_where_the_model_is_right(held_out):
    found = calibration_of_advice(held_out, labels=(10, 50), n_draws=10)
    assert found["n_labels"].to_list() == [10, 50]
    assert found["n_cases"].to_list() == [120, 120]
    assert found["rank_held"].is_between(0.9, 0.99).all()
    assert found["accuracy_held"].is_between(0.8, 0.97).all()
    expected, realised = (found[name].to_numpy() for name in ("expected_regret", "realised_regret"))
    np.testing.assert_allclose(expected, realised, atol=0.012)
    assert found["rank_width"][1] < found["rank_width"][0]


def test_the_rule_to_stop_keeps_its_promise(held_out):
    found = cost_of_stopping(held_out, tolerances=(0.05, 0.02), n_draws=5)
    assert found["tolerance"].to_list() == [0.02, 0.05]
    assert (found["realised_regret"] < found["tolerance"] + 0.01).all()
    assert found["labels_mean"][0] > found["labels_mean"][1]
    assert set(found["labels_90"]) <= set(CHECKS)
    assert found["n_cases"].to_list() == [60, 60]


def test_a_tolerance_of_nothing_uses_all_labels(held_out):
    found = cost_of_stopping(held_out, tolerances=(0.0,), n_draws=1)
    assert found["labels_mean"][0] == CHECKS[-1]
