import polars as pl
import pytest

from vlmsel.errors import TrackingError
from vlmsel.tracking.run_values import (
    best_points,
    digests,
    metric_name,
    own_params,
    points_table,
    summary_metrics,
)


@pytest.mark.parametrize("name", ["a/b", "..", ".", "", "naïve", "x" * 3, "a#b", "a?b", "a:b"])
def test_names_hold_only_what_mlflow_allows(name):
    clean = metric_name(name)
    assert clean
    assert clean.strip(".")
    assert clean.isascii()
    assert not set(clean) & set("/:#?")


def test_different_names_stay_different():
    names = ["a/b", "a:b", "a#b", "a?b", "..", ".", "a b", "a.b", "a-b", "a_b"]
    assert len({metric_name(n) for n in names}) == len(names)


def accuracies(models, tasks):
    rows = [(m, "p", t) for m in models for t in tasks]
    return pl.DataFrame(rows, orient="row", schema=["model", "pretrained", "task"])


def test_digests_follow_the_names_and_not_the_order():
    one = digests(accuracies("ab", "xy"))
    assert one == digests(accuracies("ba", "yx"))
    assert one["models_digest"] != digests(accuracies("abc", "xy"))["models_digest"]
    assert one["tasks_digest"] == digests(accuracies("abc", "xy"))["tasks_digest"]


def test_an_option_goes_to_its_selector_alone():
    params = {"settings": 1, "dcd.eta": 2.0, "dcd-pooled.eta": 3.0}
    selectors = ["dcd", "dcd-pooled", "random"]
    assert own_params(params, "dcd", selectors) == {"settings": 1, "eta": 2.0}
    assert own_params(params, "dcd-pooled", selectors) == {"settings": 1, "eta": 3.0}
    assert own_params(params, "random", selectors) == {"settings": 1}


def test_summary_metrics_carry_their_bounds():
    frame = pl.DataFrame(
        {"metric": ["tau"], "mean": [0.5], "low": [0.4], "high": [0.6]}
        | {"delta": [0.1], "delta_low": [0.0], "delta_high": [0.2]}
    )
    bounds = {"low": 0.4, "high": 0.6, "delta": 0.1, "delta_low": 0.0, "delta_high": 0.2}
    assert summary_metrics(frame) == {"tau": 0.5} | {f"tau.{k}": v for k, v in bounds.items()}


def sweep(*rows):
    names = ["eta", "gamma", "metric", "target", "value"]
    return pl.DataFrame(rows, orient="row", schema=names)


def test_points_are_means_over_targets():
    frame = sweep((1.0, 5.0, "tau", "x", 0.2), (1.0, 5.0, "tau", "y", 0.4))
    points = points_table(frame)
    assert points.columns == ["eta", "gamma", "tau"]
    assert points.row(0) == pytest.approx((1.0, 5.0, 0.3))


@pytest.mark.parametrize(("metric", "best"), [("tau", 2.0), ("regret1", 1.0)])
def test_the_best_point_follows_the_direction_of_the_metric(metric, best):
    frame = sweep((1.0, 5.0, metric, "x", 0.2), (2.0, 5.0, metric, "x", 0.4))
    assert best_points(points_table(frame), metric)["eta"][0] == best


def test_no_points_are_an_error():
    with pytest.raises(TrackingError, match="no point"):
        points_table(sweep((1.0, 5.0, "tau", "x", 0.2)).clear())
