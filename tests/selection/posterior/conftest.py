"""The golden input: five sources, four models, ten labelled images."""

import numpy as np
import pytest

SOURCES = np.array(
    [
        [0.70, 0.60, 0.80, 0.50],
        [0.90, 0.85, 0.95, 0.80],
        [0.40, 0.20, 0.30, 0.25],
        [0.65, 0.66, 0.72, 0.40],
        [0.30, 0.35, 0.50, 0.28],
    ]
)
HITS = np.array(
    [
        [1, 1, 1, 0],
        [1, 0, 1, 1],
        [0, 0, 0, 0],
        [1, 1, 1, 1],
        [1, 0, 0, 0],
        [1, 1, 1, 1],
        [0, 0, 1, 0],
        [1, 1, 1, 0],
        [1, 0, 1, 1],
        [0, 1, 0, 0],
    ],
    dtype=float,
)


@pytest.fixture
def sources() -> np.ndarray:
    return SOURCES.copy()


@pytest.fixture
def hits() -> np.ndarray:
    return HITS.copy()
