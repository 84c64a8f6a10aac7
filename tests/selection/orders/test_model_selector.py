"""Model Selector: the golden posterior, and expected entropies against a slow reference."""

import numpy as np

from vlmsel.selection.orders import Labelled, Pool
from vlmsel.selection.orders.model_selector import expected_entropy, model_posterior, next_image


def test_golden_posterior():
    # Image 1 is answered 1 and 0, its class is 0.
    pool = Pool(np.array([[0, 1], [0, 0]]), 2)
    found = model_posterior(pool, Labelled((1,), (0,)))
    np.testing.assert_allclose(found, [0.46, 0.54], atol=1e-12)


def test_expected_entropy_is_that_of_every_label_in_turn():
    rng = np.random.default_rng(2)
    classes, posterior, error = rng.integers(-2, 3, (5, 12)), rng.dirichlet(np.ones(5)), 0.4
    slow = np.zeros(12)
    for image in range(12):
        for label in range(3):
            raised = posterior * ((1 - error) / error) ** (classes[:, image] == label)
            q = raised / raised.sum()
            slow[image] += -(q * np.log(q)).sum() / 3
    fast = expected_entropy(classes, posterior, 3, error=error)
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_an_image_on_which_all_agree_is_picked_last():
    pool = Pool(np.array([[0, 0, 1], [0, 1, 1], [0, 0, 1]]), 2)
    for seed in range(5):
        assert next_image(pool, Labelled(), np.random.default_rng(seed)) == 1
