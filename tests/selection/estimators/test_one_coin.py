import numpy as np

from vlmsel.selection.estimators import one_coin


def test_golden(answers):
    found = one_coin(answers, 3)
    np.testing.assert_allclose(found.accuracy, [0.999732, 0.750041, 0.749874, 0.499974], atol=5e-7)
    assert found.classes.argmax(axis=1).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_it_finds_the_accuracies_of_independent_models():
    rng = np.random.default_rng(0)
    truth, accuracy = rng.integers(0, 5, 4000), np.array([0.9, 0.75, 0.6, 0.5, 0.4, 0.3])
    hit = rng.random((6, 4000)) < accuracy[:, None]
    wrong = (truth + rng.integers(1, 5, (6, 4000))) % 5
    found = one_coin(np.where(hit, truth, wrong), 5)
    np.testing.assert_allclose(found.accuracy, accuracy, atol=0.03)
    np.testing.assert_allclose(found.classes.sum(axis=1), 1.0)
