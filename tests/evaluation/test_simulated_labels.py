import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.simulated_labels import draw_hits, target_rng

ACCURACY = np.array([0.0, 0.2, 0.7, 0.7, 1.0])


def test_marginals_are_the_accuracies_and_images_are_shared():
    hits = draw_hits(ACCURACY, 400, 50, 0.5, np.random.default_rng(0))
    assert hits.shape == (50, 400, 5)
    np.testing.assert_allclose(hits.mean(axis=(0, 1)), ACCURACY, atol=0.01)
    assert np.corrcoef(hits[..., 2].ravel(), hits[..., 3].ravel())[0, 1] > 0.2


@pytest.mark.parametrize(("rho", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_the_ends_of_the_correlation(rho, expected):
    hits = draw_hits(ACCURACY, 500, 20, rho, np.random.default_rng(0))
    found = np.corrcoef(hits[..., 2].ravel(), hits[..., 3].ravel())[0, 1]
    assert found == pytest.approx(expected, abs=0.03)


def test_counts_are_binomial():
    hits = draw_hits(ACCURACY, 50, 4000, 0.5, np.random.default_rng(0))
    assert hits[..., 2].sum(axis=1).var() == pytest.approx(50 * 0.7 * 0.3, rel=0.1)


@pytest.mark.parametrize("rho", [-0.1, 1.1, float("nan")])
def test_no_correlation(rho):
    with pytest.raises(SelectionError, match="0 to 1"):
        draw_hits(ACCURACY, 5, 1, rho, np.random.default_rng(0))


def test_a_target_has_its_own_numbers():
    first, again, other = (target_rng(0, name).random() for name in ("a", "a", "b"))
    assert first == again != other
