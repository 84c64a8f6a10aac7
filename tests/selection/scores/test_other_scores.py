"""TransRate, PARC, SFDA, PED, NCTI, ETran, NLEEP: small truths of each."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from vlmsel.errors import SelectionError
from vlmsel.selection import scores as s


def test_transrate_written_out(clouds):
    for d in (3, 40):
        x, y = clouds(9, d)
        z = x - x.mean(axis=0)

        def rate(rows):
            return (
                0.5 * np.linalg.slogdet(np.eye(rows.shape[1]) + rows.T @ rows / len(rows) * 1e4)[1]
            )

        expected = rate(z) - np.mean([rate(z[y == c]) for c in range(5)])
        assert s.transrate(x, y) == pytest.approx(expected)


def test_transrate_prefers_wide_noise(scored):
    """Reason why its gate lets it rank models of one dimension only."""
    x, y = scored
    noise = np.random.default_rng(0).normal(size=(500, 512))
    assert s.transrate(noise, y) > s.transrate(x, y)


def test_parc_of_a_draw_is_near_that_of_all(scored):
    x, y = scored
    whole, part = s.parc(x, y), s.parc(x, y, most_images=250)
    assert part != whole
    assert part == pytest.approx(whole, rel=0.15)


def test_parc_pair_by_pair(clouds):
    x, y = clouds(4, 6, 3)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    pairs = [(i, j) for i in range(len(y)) for j in range(i)]
    distances = [1 - np.corrcoef(z[i], z[j])[0, 1] for i, j in pairs]
    other = [y[i] != y[j] for i, j in pairs]
    assert s.parc(x, y) == pytest.approx(100 * spearmanr(distances, other).statistic)


def test_sfda_is_perfect_for_wide_noise():
    """Reason why its gate wants three images per dimension."""
    y = np.repeat(np.arange(5), 20)
    noise = np.random.default_rng(0).normal(size=(100, 512))
    assert s.sfda(noise, y).score > 0.99


def test_ped_does_not_move_what_does_not_overlap(clouds):
    x, y = clouds(8, 5, scale=50)
    assert s.ped(x, y) == (s.sfda(x, y).score, 0)


def test_ped_moves_classes_apart(clouds):
    x, y = clouds(8, 5, scale=0.5)
    assert s.ped(x, y).steps > 0
    assert s.ped(x, y, base="logme").score > s.logme(x, y)


def test_combinations_are_of_the_zoo(clouds):
    zoo = [clouds(50, 6, scale=scale) for scale in (0.1, 0.5, 2)]
    etran = s.combine_etran([s.etran(*task) for task in zoo])
    terms = [s.ncti(*task) for task in zoo]
    ncti = s.combine_ncti(terms)
    assert etran.min() >= 0
    assert etran.max() <= 1
    seli, ncc, vc = (np.array(column) for column in list(zip(*terms, strict=True))[:3])
    parts = [(column - column.min()) / np.ptp(column) for column in (seli, ncc, vc)]
    assert np.allclose(ncti, parts[0] + parts[1] - parts[2])
    short = s.combine_etran([s.etran(*clouds(5, 6, scale=scale)) for scale in (0.1, 0.5, 2)])
    assert list(np.argsort(short)) == [0, 1, 2]  # without energies: 25 images have no tail


def test_ncti_refuses_constant_features():
    with pytest.raises(SelectionError, match="constant"):
        s.ncti(np.ones((10, 3)), np.repeat([0, 1], 5))


def test_ncti_where_features_are_large(clouds):
    """No shrinkage is left, and another solver takes over."""
    x, y = clouds(8, 5)
    found = s.ncti(1e3 * x, y)
    assert found.shrinkage == 1e-10
    assert np.isfinite(found).all()


def test_nleep_is_a_mean_of_seeds(clouds):
    x, y = clouds(20, 5, 3)
    found = s.nleep(x, y, components=6, seeds=(0, 1))
    assert found.score == pytest.approx(np.mean(found.by_seed))
    assert found.components == 6
    with pytest.raises(SelectionError, match="constant"):
        s.nleep(np.ones((20, 3)), np.repeat([0, 1], 10), components=3)
