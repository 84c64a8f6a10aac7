"""The golden answers and probabilities."""

import numpy as np
import pytest


@pytest.fixture
def answers() -> np.ndarray:
    """Four models, eight images, three classes."""
    return np.array(
        [
            [0, 1, 2, 0, 1, 2, 0, 1],
            [0, 1, 2, 0, 1, 1, 0, 2],
            [0, 1, 1, 0, 2, 2, 0, 1],
            [1, 1, 2, 2, 1, 0, 0, 0],
        ]
    )


@pytest.fixture
def probabilities() -> np.ndarray:
    """Two models, three images, three classes."""
    return np.array(
        [
            [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]],
            [[0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.1, 0.3, 0.6]],
        ]
    )
