"""CODA: the prior by hand, P(best) against adaptive quadrature, gains label by label."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta as beta_of

from vlmsel.selection.orders import Labelled, Pool
from vlmsel.selection.orders.coda import (
    best_of_betas,
    class_beliefs,
    dirichlets,
    expected_accuracy,
    information_gains,
    next_image,
    probability_best,
)


def quadrature(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """P(best) of each Beta, by adaptive quadrature with exact distribution functions."""
    laws = [beta_of(a, b) for a, b in zip(alpha, beta, strict=True)]

    def integrand(x: float, m: int) -> float:
        others = [law.cdf(x) for j, law in enumerate(laws) if j != m]
        return float(laws[m].pdf(x) * np.prod(others))

    return np.array([quad(integrand, 0, 1, args=(m,), limit=200)[0] for m in range(len(laws))])


def test_probability_best_is_that_of_quadrature():
    alpha = np.array([[2.2, 3.0, 5.5], [2.0, 2.0, 2.0], [9.0, 30.0, 12.0]])
    beta = np.array([[2.1, 2.4, 4.0], [2.0, 2.0, 2.0], [4.0, 12.0, 6.0]])
    found = best_of_betas(alpha, beta)
    slow = np.array([quadrature(a, b) for a, b in zip(alpha, beta, strict=True)])
    np.testing.assert_allclose(found, slow, atol=2e-4)
    np.testing.assert_allclose(found[1], 1 / 3, atol=1e-12)
    # Two laws, by hand: P(Beta(2, 1) > Beta(1, 1)) = integral of 2x * x = 2/3.
    np.testing.assert_allclose(
        best_of_betas(np.array([[2.0, 1.0]]), np.ones((1, 2))), [[2 / 3, 1 / 3]], atol=1e-4
    )


def test_prior_by_hand():
    # One model is sure of class 0, the other leans to it: the consensus is class 0 throughout.
    p = np.array([[[1.0, 0.0]], [[0.6, 0.4]]])
    pool = Pool(np.array([[0], [0]]), 2, p)
    made = dirichlets(pool, Labelled())
    np.testing.assert_allclose(made[0], [[2.2, 2.0], [2.0, 2.0]], atol=1e-12)
    np.testing.assert_allclose(made[1], [[2.12, 2.08], [2.0, 2.0]], atol=1e-12)
    # A label adds a hundredth at the answer of each model, in the row of its class.
    told = dirichlets(pool, Labelled((0,), (1,)))
    np.testing.assert_allclose(told - made, [[[0, 0], [0.01, 0]]] * 2, atol=1e-12)
    # Dirichlet times probabilities, summed over the models: 2.2 + 2.12 * .6 + 2.08 * .4 : 2 + 2.
    first = 2.2 + 2.12 * 0.6 + 2.08 * 0.4
    np.testing.assert_allclose(class_beliefs(pool, made), [[first / (first + 4), 4 / (first + 4)]])


def test_gains_are_those_of_every_label_in_turn(pool):
    labelled = Labelled((0, 9), (1, 2))
    images = np.arange(10, 16)
    found = information_gains(pool, labelled, images)
    parameters = dirichlets(pool, labelled)
    by_image = class_beliefs(pool, parameters)
    marginal = by_image.mean(axis=0)

    def best(rows: np.ndarray) -> np.ndarray:
        alpha = np.array([np.diag(rows[m]) for m in range(4)]).T
        return marginal @ best_of_betas(alpha, rows.sum(axis=2).T - alpha)

    def entropy(p: np.ndarray) -> float:
        return float(-(p * np.log2(p)).sum())

    for image, gain in zip(images, found, strict=True):
        after = 0.0
        for c in range(3):
            rows = parameters.copy()
            for m in range(4):
                rows[m, c, pool.classes[m, image]] += 1.0
            after += by_image[image, c] * entropy(best(rows))
        assert gain == pytest.approx(entropy(best(parameters)) - after, abs=1e-9)


def test_images_on_which_all_agree_come_last(pool):
    classes = np.zeros((4, 40), dtype=int)
    classes[0, 17] = 1
    agreed = Pool(classes, 3, pool.probabilities)
    assert next_image(agreed, Labelled(), np.random.default_rng(0)) == 17
    assert next_image(agreed, Labelled((17,), (0,)), np.random.default_rng(0)) != 17


def test_the_mixture_is_a_probability_and_follows_the_consensus(pool):
    found = probability_best(pool, Labelled())
    assert found.sum() == pytest.approx(1)
    assert found.argmax() == expected_accuracy(pool, Labelled()).argmax() == 0
