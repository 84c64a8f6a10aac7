"""The column form of the metrics gives what the one-ranking form gives."""

import numpy as np
import polars as pl
import pytest

from vlmsel.evaluation.metric_expressions import with_metrics
from vlmsel.evaluation.metrics import METRICS, evaluate_ranking


@pytest.mark.parametrize("n_models", [2, 3, 5, 6, 17])
@pytest.mark.parametrize("levels", [1, 2, 4, 1000])
def test_same_as_one_ranking_at_a_time(n_models: int, levels: int) -> None:
    rng = np.random.default_rng(n_models * levels)
    truth = rng.integers(0, levels, (20, n_models)) / levels
    score = rng.integers(0, levels, (20, n_models)) + rng.normal(0, 1e-12, (20, n_models))
    missing = rng.random((20, n_models)) < 0.3
    missing[:, :2] = False
    columns = {
        name: pl.Series(
            [
                [None if is_missing else float(v) for v, is_missing in zip(row, holes, strict=True)]
                for row, holes in zip(values, missing, strict=True)
            ],
            dtype=pl.Array(pl.Float64, n_models),
        )
        for name, values in (("truth", truth), ("score", score))
    }
    rows = with_metrics(pl.LazyFrame(columns), n_models).collect()
    for i in range(20):
        expected = evaluate_ranking(truth[i][~missing[i]], score[i][~missing[i]])
        assert rows.select(list(METRICS)).row(i, named=True) == pytest.approx(expected, abs=1e-12)
