import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmsel.errors import SelectionError
from vlmsel.selection.similarity import effective_sources, similarity


def table(*models: list[float]) -> pl.DataFrame:
    """DCD of every model from sources s0, s1, .. to one target."""
    rows = [
        (f"m{i}", "p", f"s{j}", "t", x) for i, dcd in enumerate(models) for j, x in enumerate(dcd)
    ]
    return pl.DataFrame(
        rows, schema=["model", "pretrained", "source", "target", "dcd"], orient="row"
    )


def weights(frame: pl.DataFrame, model: str = "m0") -> list[float]:
    return frame.filter(model=model)["weight"].to_list()


DIVERGENCES = st.lists(st.floats(0, 100), min_size=1, max_size=8)


def test_weights_are_a_softmax_of_minus_gamma_dcd():
    # exp(-gamma d) = 1/2, 1/4, 1/4
    found = similarity(table([1.0, 2.0, 2.0]), gamma=math.log(2))
    assert weights(found) == pytest.approx([0.5, 0.25, 0.25])


def test_spread_measures_dcd_in_standard_deviations():
    # mean 2, std 1: z = -1, 1; exp(-z ln 2) = 2, 1/2
    found = similarity(table([1.0, 3.0]), gamma=math.log(2), scale="spread")
    assert weights(found) == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize("flat", [0.0, 0.1, 1e9])
def test_no_spread_means_no_preference(flat):
    found = similarity(table([flat] * 3), gamma=7.0, scale="spread")
    assert weights(found) == pytest.approx([1 / 3] * 3)


def test_pooled_weights_are_shared_and_average_the_models():
    # Mean dcd = 2, 3; exp(-gamma d) = 1/4, 1/8.
    found = similarity(table([1.0, 5.0], [3.0, 1.0]), gamma=math.log(2), pooled=True)
    assert weights(found, "m0") == pytest.approx([2 / 3, 1 / 3])
    assert weights(found, "m1") == weights(found, "m0")


def test_pooled_and_scaled_averages_z_scores_and_not_divergences():
    # z = (-1, 1) and (1, -1) cancel, although the second model diverges a thousand times more.
    found = similarity(table([1.0, 3.0], [3000.0, 1000.0]), gamma=5.0, scale="spread", pooled=True)
    assert weights(found) == pytest.approx([0.5, 0.5])


def test_pooled_with_a_model_that_lacks_a_source():
    frame = table([1.0, 2.0, 4.0], [1.0, 2.0])
    found = similarity(frame, gamma=1.0, pooled=True)
    ratio = weights(found, "m1")[0] / weights(found, "m1")[1]
    assert sum(weights(found, "m1")) == pytest.approx(1)
    assert ratio == pytest.approx(weights(found, "m0")[0] / weights(found, "m0")[1])


def test_targets_are_apart():
    frame = pl.concat([table([1.0, 2.0]), table([5.0, 9.0]).with_columns(target=pl.lit("u"))])
    found = similarity(frame, gamma=1.0, scale="spread", pooled=True)
    assert found.group_by("target").agg(pl.col("weight").sum())[
        "weight"
    ].to_list() == pytest.approx([1, 1])


@given(dcd=DIVERGENCES, shift=st.floats(-50, 50), gamma=st.floats(0, 20))
@settings(max_examples=40, deadline=None)
def test_a_common_shift_changes_nothing(dcd, shift, gamma):
    plain = weights(similarity(table(dcd), gamma=gamma))
    shifted = weights(similarity(table([x + shift for x in dcd]), gamma=gamma))
    assert shifted == pytest.approx(plain, abs=1e-9)
    assert sum(plain) == pytest.approx(1)


@given(
    dcd=st.lists(st.integers(0, 100).map(float), min_size=2, max_size=8), unit=st.floats(1e-6, 1e6)
)
@settings(max_examples=40, deadline=None)
def test_spread_knows_no_unit(dcd, unit):
    plain = weights(similarity(table(dcd), gamma=3.0, scale="spread"))
    scaled = weights(similarity(table([unit * x for x in dcd]), gamma=3.0, scale="spread"))
    assert scaled == pytest.approx(plain, abs=1e-6)


@given(dcd=DIVERGENCES)
@settings(max_examples=20, deadline=None)
def test_gamma_0_weighs_all_sources_alike(dcd):
    found = effective_sources(similarity(table(dcd), gamma=0.0))
    assert found["effective"].item() == pytest.approx(len(dcd))
    assert found["n_sources"].item() == len(dcd)


def test_effective_sources_of_hand_values():
    # Entropy of (1/2, 1/4, 1/4) = 1.5 ln 2, so exp of it = 2^1.5.
    frame = table([1.0, 2.0, 2.0]).with_columns(weight=pl.Series([0.5, 0.25, 0.25]))
    assert effective_sources(frame)["effective"].item() == pytest.approx(2**1.5)


def test_one_source_that_takes_all_counts_as_one():
    found = effective_sources(similarity(table([0.0, 1e6, 1e6]), gamma=5.0))
    assert found["effective"].item() == pytest.approx(1)


def test_large_divergences_do_not_overflow():
    assert np.isfinite(weights(similarity(table([1e300, 0.0]), gamma=5.0))).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1.0}, "gamma must be a finite number of at least 0"),
        ({"gamma": math.nan}, "gamma must be"),
        ({"scale": "wide"}, "scale must be one of none, spread"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(SelectionError, match=message):
        similarity(table([1.0]), **options)
