import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vlmsel.selection.posterior.shrinkage import shrunk_covariance

NAN = float("nan")


def slow(x: np.ndarray) -> np.ndarray:
    """The formulas of Schaefer and Strimmer, one entry at a time."""
    n, m = x.shape
    v = [sum(x[k, i] ** 2 for k in range(n)) / (n - 1) for i in range(m)]

    def product(i, j, unit):
        scale = np.sqrt(v[i] * v[j]) if unit else 1.0
        w = [x[k, i] * x[k, j] / scale for k in range(n)]
        mean = sum(w) / n
        return n / (n - 1) * mean, n / (n - 1) ** 3 * sum((value - mean) ** 2 for value in w)

    off = [(i, j) for i in range(m) for j in range(m) if i != j]
    r = {pair: product(*pair, unit=True) for pair in off}
    share = min(1.0, sum(b for _, b in r.values()) / sum(a**2 for a, _ in r.values()))
    median = float(np.median(v))
    noise = sum(product(i, i, unit=False)[1] for i in range(m))
    share_v = min(1.0, noise / sum((value - median) ** 2 for value in v))
    w = [max(share_v * median + (1 - share_v) * value, 1e-10) for value in v]
    found = np.diag(w)
    for (i, j), (a, _) in r.items():
        found[i, j] = (1 - share) * a * np.sqrt(w[i] * w[j])
    return found


@given(x=arrays(float, (6, 4), elements=st.floats(-1, 1, width=16)))
@settings(max_examples=40)
def test_it_is_the_published_estimate(x):
    x = x - x.mean(axis=0)
    spread = (x**2).sum(axis=0)
    if spread.min() < 1e-3 or np.ptp(spread) < 1e-3:
        return
    np.testing.assert_allclose(shrunk_covariance(x), slow(x), rtol=1e-8, atol=1e-12)


@given(x=arrays(float, (5, 4), elements=st.floats(-1, 1)))
@settings(max_examples=40)
def test_it_is_a_covariance_for_any_input(x):
    found = shrunk_covariance(x)
    np.testing.assert_allclose(found, found.T)
    assert np.linalg.eigvalsh(found).min() > -1e-12
    assert (np.diagonal(found) >= 1e-10).all()


def test_two_samples_say_nothing_of_covariances():
    x = np.array([[0.1, 0.2, -0.3], [-0.1, -0.2, 0.3]])
    np.testing.assert_allclose(shrunk_covariance(x), np.median([0.02, 0.08, 0.18]) * np.eye(3))


def test_a_variable_that_two_samples_know_has_the_median_variance_and_no_correlation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4))
    x[2:, 1] = NAN
    found = shrunk_covariance(x)
    others = [0, 2, 3]
    np.testing.assert_allclose(found[1, others], 0.0)
    v = (x[:, others] ** 2).sum(axis=0) / 7
    assert found[1, 1] == pytest.approx(np.median(v))
    np.testing.assert_allclose(found[np.ix_(others, others)], slow(x[:, others]))


def test_a_hole_is_no_deviation():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8, 3))
    filled = x.copy()
    x[0, 1], filled[0, 1] = NAN, 0.0
    np.testing.assert_allclose(shrunk_covariance(x), slow(filled))


def test_one_variable_and_no_deviation():
    np.testing.assert_allclose(shrunk_covariance(np.zeros((4, 2))), 1e-10 * np.eye(2))
    assert shrunk_covariance(np.array([[1.0], [-1.0], [0.0]])) == pytest.approx(1.0)
