import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.estimators import expected_agreement


def test_golden(probabilities):
    np.testing.assert_allclose(expected_agreement(probabilities), [0.483333, 0.466667], atol=5e-7)


def test_a_failed_image_counts_for_nobody(probabilities):
    probabilities[1, 0] = np.nan
    np.testing.assert_allclose(expected_agreement(probabilities), [0.475, 0.35])


def test_one_model_agrees_with_nobody(probabilities):
    with pytest.raises(SelectionError, match="2 models"):
        expected_agreement(probabilities[:1])
