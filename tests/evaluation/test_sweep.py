"""Every point of a sweep is a leave-one-out of the selector with those options."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.evaluation.conftest import make_tables
from vlmsel.errors import SelectionError
from vlmsel.evaluation.leave_one_out import leave_one_out
from vlmsel.evaluation.sweep import sweep, sweep_means
from vlmsel.selection import make_selector

ETAS = [0.0, 3.0]
GAMMAS = [0.0, 8.0]


@pytest.mark.parametrize("holes", [0.0, 0.25])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("scale", ["none", "spread"])
@pytest.mark.parametrize("eps_mode", ["absolute", "relative"])
def test_every_point_is_a_leave_one_out(
    holes: float, pooled: bool, scale: str, eps_mode: str
) -> None:
    accuracies, profiles = make_tables(3, holes=holes)
    options = {"scale": scale, "pooled": pooled, "eps": 1e-6, "eps_mode": eps_mode}
    points = sweep(accuracies, profiles, etas=ETAS, gammas=GAMMAS, **options)
    keys = ["eta", "gamma", "target", "metric"]
    expected = []
    for eta in ETAS:
        for gamma in GAMMAS:
            selector = make_selector("dcd", eta=eta, gamma=gamma, **options)
            metrics = leave_one_out([selector], accuracies, profiles).metrics
            expected.append(
                metrics.select(
                    pl.lit(eta).alias("eta"),
                    pl.lit(gamma).alias("gamma"),
                    "target",
                    "metric",
                    "value",
                )
            )
    assert_frame_equal(points, pl.concat(expected), check_row_order=False, abs_tol=1e-9)
    assert points.select(keys).is_unique().all()


def test_means_over_targets() -> None:
    points = pl.DataFrame(
        {"eta": [1.0, 1.0], "gamma": [2.0, 2.0], "target": ["a", "b"], "metric": "tau",
         "value": [0.2, 0.4]}
    )  # fmt: skip
    means = sweep_means(points).row(0, named=True)
    assert means == {
        "eta": 1.0, "gamma": 2.0, "metric": "tau", "value": pytest.approx(0.3), "n_targets": 2
    }  # fmt: skip


@pytest.mark.parametrize(
    ("etas", "gammas", "words"),
    [([], [5.0], "finite eta"), ([2.0], [float("inf")], "finite gamma"), ([2.0], [-1.0], "gamma")],
)
def test_impossible_grids(
    tables: tuple[pl.DataFrame, pl.DataFrame], etas: list[float], gammas: list[float], words: str
) -> None:
    with pytest.raises(SelectionError, match=words):
        sweep(*tables, etas=etas, gammas=gammas)
