"""VEGA on vectors by hand; the sign that is turned; edges against a slow reference."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from vlmsel.selection.estimators.vega_estimate import RIDGE, edge_score, vega_parts


def world(spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Four classes on a circle, two of them near, with images around each."""
    rng = np.random.default_rng(0)
    angles = np.array([0.0, 0.4, 2.0, 4.0])
    classes = np.column_stack([np.cos(angles), np.sin(angles)])
    images = np.repeat(classes, 10, axis=0) + spread * rng.normal(size=(40, 2))
    return images / np.linalg.norm(images, axis=1, keepdims=True), classes


def test_one_image_by_hand():
    node, edges = vega_parts(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert node == pytest.approx(1 / (1 + np.exp(-20)))
    assert np.isnan(edges)
    assert edge_score(edges, is_mended=False) == edge_score(edges, is_mended=True) == 0.5


def test_edges_are_those_of_every_pair():
    images, classes = world(0.05)
    cosine = images @ classes.T
    assigned = cosine.argmax(axis=1)
    ridge = RIDGE * images.var(axis=0).mean()
    text, distance = [], []
    for i in range(4):
        for j in range(i + 1, 4):
            a, b = images[assigned == i], images[assigned == j]
            first, second = a.var(axis=0) + ridge, b.var(axis=0) + ridge
            mean = (first + second) / 2
            shift = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2 / mean) / 8
            distance.append(
                shift + 0.5 * np.log(mean.prod() / np.sqrt(first.prod() * second.prod()))
            )
            text.append(classes[i] @ classes[j])
    assert vega_parts(images, classes).edges == pytest.approx(pearsonr(text, distance)[0])


def test_images_that_lie_like_their_names_are_punished_as_printed():
    _, edges = vega_parts(*world(0.05))
    assert edges < -0.9
    assert edge_score(edges, is_mended=False) < 0.05
    assert edge_score(edges, is_mended=True) > 0.95


def test_a_surer_model_has_the_larger_node_score():
    classes = np.eye(2)
    between = np.array([[1.0, 1.0]]) / np.sqrt(2)
    assert vega_parts(between, classes).node == pytest.approx(0.5)
    assert vega_parts(classes, classes).node > 0.99
