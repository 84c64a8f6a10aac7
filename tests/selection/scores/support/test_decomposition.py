"""The decomposition and what is read off it."""

import numpy as np
import pytest
from scipy import linalg
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.decomposition import PCA

from vlmsel.selection.scores.support import decomposition as module
from vlmsel.selection.scores.support.decomposition import decompose
from vlmsel.selection.scores.support.shrunk_covariance import ledoit_wolf


@pytest.fixture(params=[(40, 7), (15, 40)], ids=["tall", "wide"])
def features(request):
    random = np.random.default_rng(0)
    return random.normal(size=request.param) * random.uniform(0.1, 3, request.param[1]) + 2


def test_features_without_centring_follow(features):
    parts = decompose(features)
    singular = parts.uncentred[0]
    assert np.allclose(singular, np.linalg.svd(features, compute_uv=False))
    axes = np.linalg.svd(features, full_matrices=False)[0]
    targets = np.random.default_rng(1).normal(size=(len(features), 2))
    below = parts.left_vectors[:, : parts.rank].T @ targets, targets.sum(axis=0) / np.sqrt(parts.n)
    found = parts.uncentred[1].T @ np.vstack(below)
    assert np.allclose(np.abs(found), np.abs(axes.T @ targets))


def test_principal_components_are_those_of_scikit_learn(features):
    expected = PCA(5, svd_solver="full").fit_transform(features)
    assert np.allclose(decompose(features).principal(5), expected)


def test_distances_survive_the_rotation(features):
    spread = decompose(features).spread()
    rows = features - features.mean(axis=0)
    assert np.allclose(spread @ spread.T, rows @ rows.T)


def test_shrinkage_is_that_of_scikit_learn(features):
    assert ledoit_wolf(decompose(features)) == pytest.approx(ledoit_wolf_shrinkage(features))


def test_rank_counts_no_rounding():
    random = np.random.default_rng(0)
    flat = random.normal(size=(30, 2)) @ random.normal(size=(2, 10))
    assert decompose(flat).rank == 2
    assert decompose(flat + 1e6).rank == 2
    assert decompose(np.full((30, 10), 1 / 3)).rank == 0


def test_the_slow_way_where_the_fast_one_fails(monkeypatch):
    real = linalg.svd

    def fails(matrix, *, lapack_driver="gesdd", **options):
        if lapack_driver == "gesdd":
            raise linalg.LinAlgError("SVD did not converge")
        return real(matrix, lapack_driver=lapack_driver, **options)

    x = np.random.default_rng(0).normal(size=(9, 4))
    expected = decompose(x).singular
    monkeypatch.setattr(module.linalg, "svd", fails)
    assert np.allclose(decompose(x).singular, expected)
