import numpy as np
import polars as pl
import pytest

from tests.shared_data import DATA
from vlmsel.errors import SelectionError
from vlmsel.evaluation.twin_checkpoints import count_once
from vlmsel.selection.knowledge import value_matrix
from vlmsel.selection.posterior.prior import fit_prior

NAN = float("nan")


def close(found, expected, decimals=6):
    np.testing.assert_allclose(found, expected, atol=0.5 * 10**-decimals)


def test_golden(sources):
    found = fit_prior(sources)
    close(found.level, 0.851779)
    close(found.level_variance, 0.064704)
    close(found.source_spreads, [1.098282, 0.945284, 0.905677, 1.123754, 0.946410])
    close(found.mean, [0.037109, -0.033755, 0.112299, -0.115652])
    close(np.diagonal(found.covariance), [0.003254] * 4)
    upper = found.covariance[np.triu_indices(4, 1)]
    close(upper, [-0.000392, -0.000527, 0.000158, 0.000320, -0.000487, -0.000305])
    assert found.spreads.shape == (11,)
    close(found.spreads[[0, 5, 10]], [0.803211, 1.0, 1.245003])


def test_golden_with_holes(sources):
    # Model 1 is unknown to one source, model 3 is known to two, model 4 to none.
    table = np.column_stack([sources, np.full(5, NAN)])
    table[0, 1] = table[1, 3] = table[2, 3] = table[4, 3] = NAN
    found = fit_prior(table)
    mean, level, variance, h = _slow(table)
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose([found.level, found.level_variance], [level, variance])
    np.testing.assert_allclose(found.source_spreads, h)
    close(found.level, GOLDEN["level"])
    close(found.level_variance, GOLDEN["level_variance"])
    close(found.source_spreads, GOLDEN["h"])
    close(found.mean, GOLDEN["mean"])
    close(found.covariance[np.triu_indices(5)], GOLDEN["covariance"])


GOLDEN: dict[str, float | list[float]] = {
    "level": 0.871011,
    "level_variance": 0.067176,
    "h": [1.162504, 0.845968, 0.957653, 1.128368, 0.941007],
    "mean": [0.015295, -0.050951, 0.093163, -0.169242, 0.0],
    "covariance": [
        *(0.004079, -0.000322, -0.000972, 0.0, 0.0),
        *(0.004079, 0.000649, 0.0, 0.0),
        *(0.004079, 0.0, 0.0),
        *(0.004079, 0.0),
        0.004079,
    ],
}


def _slow(table):
    scale = [[np.arcsin(np.sqrt(p)) for p in row] for row in table]
    known = [[not np.isnan(y) for y in row] for row in scale]
    levels, spreads = [], []
    for row, known_row in zip(scale, known, strict=True):
        values = [y for y, k in zip(row, known_row, strict=True) if k]
        m = sum(values) / len(values)
        levels.append(m)
        spreads.append(max(1e-3, (sum((y - m) ** 2 for y in values) / len(values)) ** 0.5))
    root = [d**0.5 for d in spreads]
    product = 1.0
    for value in root:
        product *= value
    h = [value / product ** (1 / len(root)) for value in root]
    mean = []
    for i in range(len(scale[0])):
        z = [(scale[s][i] - levels[s]) / h[s] for s in range(len(scale)) if known[s][i]]
        mean.append(sum(z) / len(z) if z else 0.0)
    level = sum(levels) / len(levels)
    return mean, level, sum((m - level) ** 2 for m in levels) / len(levels) + 0.01, h


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the published tables are not in {DATA}")
def test_golden_of_open_clips_table():
    from vlmsel.published import read_openclip_results

    path = DATA / "openclip_results.csv"
    known = count_once(read_openclip_results(path).frame).accuracies
    kept = set(known.select("model", "pretrained").unique().rows())
    models = [key for key in pl.read_csv(path).select("name", "pretrained").rows() if key in kept]
    tasks = sorted(set(known["task"]) - {"eurosat"})
    assert (len(models), len(tasks)) == (112, 34)
    found = fit_prior(value_matrix(known, "acc1", models, tasks).T)
    close(found.level, 0.826682)
    close(found.level_variance, 0.074592)
    close(found.mean[:3], [0.194422, 0.176986, 0.174862])
    close(found.covariance[0, :2], [0.007643, 0.004935])
    close(np.trace(found.covariance), 1.214264)
    close(found.spreads[0], 0.509128)


def test_order_of_sources_and_models_changes_nothing(sources):
    models, tasks = np.array([2, 0, 3, 1]), np.array([4, 1, 0, 3, 2])
    found, moved = fit_prior(sources), fit_prior(sources[tasks][:, models])
    np.testing.assert_allclose(moved.mean, found.mean[models])
    np.testing.assert_allclose(moved.covariance, found.covariance[np.ix_(models, models)])
    np.testing.assert_allclose(moved.level, found.level)


def test_a_model_in_no_source_has_nothing_but_the_median_variance(sources):
    found = fit_prior(np.column_stack([sources, np.full(5, NAN)]))
    base = fit_prior(sources)
    assert found.mean[4] == 0.0
    np.testing.assert_allclose(found.covariance[4, :4], 0.0)
    np.testing.assert_allclose(found.covariance[:4, :4], base.covariance)
    z = np.arcsin(np.sqrt(sources))
    z = (z - z.mean(1, keepdims=True)) / base.source_spreads[:, None]
    assert found.covariance[4, 4] == pytest.approx(np.median(z.var(axis=0, ddof=1)))


def test_two_sources_give_no_covariance(sources):
    found = fit_prior(sources[:2]).covariance
    np.testing.assert_allclose(found, found[0, 0] * np.eye(4))


def test_a_source_that_knows_no_model_is_none(sources):
    found = fit_prior(np.vstack([sources, np.full(4, NAN)]))
    np.testing.assert_allclose(found.mean, fit_prior(sources).mean)
    assert found.n_sources == 5


def test_equal_spreads_need_one_point():
    row = np.array([0.3, 0.5, 0.7])
    found = fit_prior(np.array([row, row[::-1], row]))
    assert found.spreads.tolist() == [1.0]


def test_a_source_on_which_all_models_are_equal_is_no_division_by_zero(sources):
    found = fit_prior(np.vstack([sources, np.full(4, 0.5)]))
    assert np.isfinite(found.covariance).all()
    assert np.isfinite(found.mean).all()


def test_the_mean_can_be_given_and_the_covariance_stays(sources):
    found = fit_prior(sources, mean=np.array([1.0, 0.0, 0.0, -1.0]))
    assert found.mean.tolist() == [1.0, 0.0, 0.0, -1.0]
    np.testing.assert_allclose(found.covariance, fit_prior(sources).covariance)


@pytest.mark.parametrize("table", [np.zeros((0, 3)), np.full((5, 3), NAN), [[0.1, 0.2]], [0.1]])
def test_too_few_sources(table):
    with pytest.raises(SelectionError, match="2 sources"):
        fit_prior(np.array(table, dtype=float))


def test_percentages_are_refused(sources):
    with pytest.raises(SelectionError, match="shares of 1"):
        fit_prior(100 * sources)
