"""The paired bootstrap against a plain loop, and what must hold for any data."""

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.paired_bootstrap import paired_bootstrap


def long(values: dict[str, list[float | None]], metric: str = "tau") -> pl.DataFrame:
    return pl.DataFrame(
        [
            (selector, f"t{i}", metric, value)
            for selector, row in values.items()
            for i, value in enumerate(row)
            if value is not None
        ],
        schema=["selector", "target", "metric", "value"],
        orient="row",
    )


def test_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 12), rng.normal(0.5, 1, 12)
    table = paired_bootstrap(
        long({"a": list(a), "b": list(b)}), n_bootstrap=4000, seed=3, baseline="a"
    )
    row = table.row(by_predicate=pl.col("selector") == "b", named=True)
    draws = rng.integers(0, 12, (4000, 12))
    assert row["mean"] == pytest.approx(b.mean())
    assert row["delta"] == pytest.approx((b - a).mean())
    for values, names in ((b, ("low", "high")), (b - a, ("delta_low", "delta_high"))):
        bounds = np.quantile(values[draws].mean(1), [0.025, 0.975])
        # Two independent bootstraps of 4,000 draws agree to their own sampling error.
        assert [row[name] for name in names] == pytest.approx(bounds, abs=0.05)


def test_constant_gain_has_no_width_and_the_baseline_no_gain() -> None:
    values = [0.1, 0.9, 0.4]
    table = paired_bootstrap(
        long({"a": values, "b": [v + 0.25 for v in values]}), n_bootstrap=100, baseline="a"
    )
    rows = {row["selector"]: row for row in table.iter_rows(named=True)}
    deltas = ("delta", "delta_low", "delta_high")
    assert [rows["b"][name] for name in deltas] == pytest.approx([0.25] * 3)
    assert [rows["a"][name] for name in deltas] == [0.0] * 3
    assert rows["a"]["low"] < rows["a"]["mean"] < rows["a"]["high"]


def test_a_hole_leaves_the_pair_out() -> None:
    table = paired_bootstrap(
        long({"a": [0.0, 0.0, 0.0], "b": [1.0, 1.0, None]}), n_bootstrap=200, baseline="a"
    )
    row = table.row(by_predicate=pl.col("selector") == "b", named=True)
    assert (row["n_targets"], row["mean"], row["delta"]) == (2, 1.0, 1.0)
    assert (row["low"], row["high"]) == (1.0, 1.0)


def test_seed_and_missing_baseline() -> None:
    metrics = long({"a": [0.1, 0.5, 0.3, 0.8]})
    first, same, other = (
        paired_bootstrap(metrics, n_bootstrap=50, seed=seed, baseline="a") for seed in (1, 1, 2)
    )
    assert first.equals(same)
    assert not first.equals(other)
    alone = paired_bootstrap(metrics, n_bootstrap=50, baseline="nobody").row(0, named=True)
    assert [alone[name] for name in ("delta", "delta_low", "delta_high")] == [None] * 3


def test_an_interval_that_ends_at_zero_contains_it() -> None:
    # 0.1 + 0.2 - 0.3 is not 0 in floating point.
    values = {"a": [0.3, 0.0, 0.6], "b": [0.1 + 0.2, 0.5, 0.6]}
    table = paired_bootstrap(long(values), n_bootstrap=2000, baseline="a")
    row = table.row(by_predicate=pl.col("selector") == "b", named=True)
    assert row["delta_low"] == 0.0
    assert row["delta_high"] > 0


def test_nothing_to_resample() -> None:
    with pytest.raises(SelectionError, match="nothing to resample"):
        paired_bootstrap(long({}), baseline="a")
