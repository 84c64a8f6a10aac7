"""Held-out scores: against refitting image by image, and with copies of images."""

from collections import Counter

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference

from vlmsel.errors import SelectionError
from vlmsel.selection import scores as s


def _without(groups, i):
    return np.flatnonzero(groups != groups[i])


@pytest.fixture
def copied(clouds):
    """Clouds in which eight images come two or three times."""
    x, y = clouds(9, 5, 3, scale=0.4)
    rows = np.concatenate([np.arange(len(y)), np.arange(8), [3, 4]])
    return x[rows], y[rows], np.array([f"sha{i}" for i in rows])


@pytest.mark.parametrize("with_copies", [False, True])
def test_ridge_is_that_of_refitting(copied, with_copies):
    x, y, images = copied
    groups = np.unique(images, return_inverse=True)[1] if with_copies else np.arange(len(y))
    predicted = np.empty((len(y), 3))
    for i in range(len(y)):
        rest = _without(groups, i)
        predicted[i] = Reference(alpha=2.0).fit(x[rest], np.eye(3)[y[rest]]).predict(x[[i]])[0]
    found = s.ridge(x, y, penalty=2.0, images=images if with_copies else None)
    assert found.mse == pytest.approx(((np.eye(3)[y] - predicted) ** 2).mean())
    assert found.accuracy == pytest.approx((predicted.argmax(axis=1) == y).mean())


@pytest.mark.parametrize("with_copies", [False, True])
def test_neighbours_and_means_are_those_of_refitting(copied, with_copies):
    x, y, images = copied
    groups = np.unique(images, return_inverse=True)[1] if with_copies else np.arange(len(y))
    near, mean = [], []
    for i in range(len(y)):
        rest = _without(groups, i)
        order = rest[np.argsort(((x[rest] - x[i]) ** 2).sum(axis=1))]
        near.append(Counter(y[order[:3]].tolist()).most_common(1)[0][0] == y[i])
        means = np.array([x[rest][y[rest] == c].mean(axis=0) for c in range(3)])
        mean.append(((means - x[i]) ** 2).sum(axis=1).argmin() == y[i])
    given = images if with_copies else None
    in_chunks = s.knn(x, y, k=3, metric="l2", images=given, chunk=10)
    assert in_chunks == pytest.approx(np.mean(near))
    # Only the own mean leaves an image out: the others do not hold it, as copies share a label.
    assert s.nearest_mean(x, y, images=given) == pytest.approx(np.mean(mean))


def test_copies_on_both_sides_would_flatter():
    """Noise with every image twice: a neighbour knows the label; as copies they know nothing."""
    random = np.random.default_rng(0)
    y = np.tile(np.repeat(np.arange(4), 10), 2)
    noise = np.tile(random.normal(size=(40, 300)), (2, 1))
    images = np.tile(np.arange(40), 2)
    assert s.knn(noise, y) == 1.0
    assert s.knn(noise, y, images=images) < 0.6
    assert s.probe(noise, y).accuracy > 0.8
    assert s.probe(noise, y, images=images).accuracy < 0.6
    assert s.lda(noise, y, images=images) < 0.6
    assert s.ridge(noise, y, images=images).accuracy < 0.6
    options = s.ItmOptions(iterations=100)
    assert s.itm(noise, y, images=images, options=options).without_step < 0.7


def test_probe_rarely_ties_in_likelihood_and_grows_with_the_distance(clouds):
    near, far = (s.probe(*clouds(10, 5, scale=scale), standardise=True) for scale in (0.3, 2))
    assert near.log_likelihood < far.log_likelihood < 0
    assert near.accuracy < far.accuracy
    assert near.converged


def test_a_probe_of_few_images_takes_as_many_folds_as_there_are(clouds):
    assert 0 <= s.probe(*clouds(2, 5)).accuracy <= 1


def test_one_image_a_class_cannot_be_held_out(clouds):
    x, y = clouds(1, 5)
    for score in (s.probe, s.lda, s.itm):
        with pytest.raises(SelectionError, match="5 classes have fewer than two different images"):
            score(x, y)
    with pytest.raises(SelectionError, match="more images than classes"):
        s.ncti(x, y)
    assert s.nearest_mean(x, y) == 0
    assert np.isfinite([s.logme(x, y), s.transrate(x, y), s.etran(x, y).lda]).all()


def test_impossible_options_are_refused(clouds):
    x, y = clouds(4, 5)
    for refused, says in (
        (lambda: s.knn(x, y, k=20), "20 neighbours among 20"),
        (lambda: s.ridge(x, y, penalty=0), "more than 0"),
        (lambda: s.nleep(x, y), "25 components"),
        (lambda: s.probe(x, y, held_out=np.ones(20, dtype=bool)), "some true and some false"),
        (lambda: s.probe(x, y, held_out=y != 0), "fewer than two classes"),
        (lambda: s.itm(x, y, held_out=np.zeros(20)), "some true and some false"),
        (lambda: s.itm(x, y, options=s.ItmOptions(steps=0)), "steps=0 is below 1"),
        (lambda: s.itm(x, y, options=s.ItmOptions(rate=0)), "rate must be above 0"),
        (lambda: s.knn(x, y, images=np.arange(3)), "20 rows"),
        (lambda: s.logme(x, y, decomposition=s.decompose(x[1:])), "decomposition is of 19 x 5"),
    ):
        with pytest.raises(SelectionError, match=says):
            refused()
