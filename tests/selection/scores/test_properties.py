"""Properties of every score whatever the features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlmsel.selection import scores as s

# Deterministic scores as one number each.
SCORES = {
    "logme": s.logme,
    "hscore": s.hscore,
    "hscore_shrunk": s.hscore_shrunk,
    "transrate": s.transrate,
    "gbc": lambda x, y: s.gbc(x, y, log_scale=True),
    "gbc_diagonal_raw": lambda x, y: s.gbc(x, y, covariance="diagonal", dimensions=None),
    "parc": s.parc,
    "sfda": lambda x, y: s.sfda(x, y).score,
    "etran": lambda x, y: s.etran(x, y).lda,
    "energy": lambda x, y: s.etran(x, y, tail=None).energy,
    "ncti": lambda x, y: s.ncti(x, y).seli,
    "ped": lambda x, y: s.ped(x, y).score,
    "knn_l2": lambda x, y: s.knn(x, y, metric="l2"),
    "knn_cosine": lambda x, y: s.knn(x, y, k=3),
    "nearest_mean": s.nearest_mean,
    "ridge": lambda x, y: s.ridge(x, y).mse,
    "lda_fitted": lambda x, y: s.lda(x, y, folds=0),
    "lfc": s.lfc,
    "tmi": s.tmi,
}
ROTATES = {
    "logme", "hscore", "hscore_shrunk", "transrate", "gbc", "sfda", "etran", "ncti",
    "knn_l2", "knn_cosine", "nearest_mean", "ridge", "lfc", "tmi",
}  # fmt: skip
CLOUDS = st.fixed_dictionaries(
    {
        "n_per_class": st.integers(4, 9),
        "d": st.integers(2, 40),
        "classes": st.integers(2, 5),
        "scale": st.floats(0.1, 3),
        "seed": st.integers(0, 1000),
    }
)


def _clouds(n_per_class, d, classes, scale, seed):
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), n_per_class)
    means = random.normal(size=(classes, d)) * scale
    return means[labels] + random.normal(size=(len(labels), d)), labels, random


@pytest.mark.parametrize("name", SCORES)
@settings(max_examples=6, deadline=None)
@given(sizes=CLOUDS)
def test_order_and_names_change_nothing(name, sizes):
    x, y, random = _clouds(**sizes)
    order = random.permutation(len(y))
    names = np.array(["zebra", "ant", "mole", "bat", "yak"])
    score = SCORES[name]
    assert score(x[order], names[y[order]]) == pytest.approx(score(x, y), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", sorted(ROTATES))
@settings(max_examples=6, deadline=None)
@given(sizes=CLOUDS)
def test_a_rotation_changes_nothing(name, sizes):
    x, y, random = _clouds(**sizes)
    turn = np.linalg.qr(random.normal(size=(x.shape[1],) * 2))[0]
    score = SCORES[name]
    # The power steps of SFDA's shrinkage start from row sums, which a rotation changes.
    exact = 0.02 if name == "sfda" else 1e-5
    assert score(x @ turn, y) == pytest.approx(score(x, y), rel=exact, abs=1e-7)


@pytest.mark.parametrize("name", sorted(SCORES.keys() - {"ncti"}))
def test_constant_columns_make_no_nan(name, clouds):
    x, y = clouds(6, 4)
    padded = np.hstack([x, np.zeros((len(y), 3)), np.full((len(y), 2), 7.5)])
    assert np.isfinite(SCORES[name](padded, y))


@pytest.mark.parametrize("name", sorted(SCORES.keys() - {"ncti"}))
def test_constant_features_are_a_result_not_a_crash(name):
    y = np.repeat(np.arange(3), 5)
    for value in (0.0, 2.5):
        assert np.isfinite(SCORES[name](np.full((15, 4), value), y))


@pytest.mark.parametrize("name", sorted(SCORES))
def test_features_stay_as_they_were(name, clouds):
    x, y = clouds(6, 4)
    before = x.copy()
    SCORES[name](x, y)
    assert (x == before).all()


@pytest.mark.parametrize("name", ["hscore", "etran", "lfc", "tmi"])
def test_every_row_twice_is_the_same(name, clouds):
    x, y = clouds(9, 5)
    score = SCORES[name]
    assert score(np.vstack([x, x]), np.tile(y, 2)) == pytest.approx(score(x, y))


@settings(max_examples=20, deadline=None)
@given(sizes=CLOUDS)
def test_ranges(sizes):
    x, y, _ = _clouds(**sizes)
    classes = sizes["classes"]
    assert -1e-9 <= s.hscore(x, y) <= classes - 1 + 1e-9
    assert -classes * (classes - 1) - 1e-9 <= s.gbc(x, y) <= 0
    assert -100 - 1e-9 <= s.parc(x, y) <= 100 + 1e-9
    assert 0 <= s.sfda(x, y).score <= 1


def test_decomposed_before_or_now(clouds):
    for d in (4, 60):
        x, y = clouds(8, d)
        parts = s.decompose(x)
        for score in (s.logme, s.hscore, s.hscore_shrunk, s.transrate, s.gbc, s.ridge, s.ncti):
            assert score(x, y, decomposition=parts) == score(x, y)
