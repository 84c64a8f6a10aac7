import numpy as np
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.labelled_hits import LabelledHits

KEYS = (("a", "x"), ("b", "x"))


def test_columns_come_in_any_order_and_absent_models_have_none():
    hits = LabelledHits(KEYS, np.array([[1.0, 0.0], [np.nan, 1.0]]))
    found = hits.of((KEYS[1], ("c", "x"), KEYS[0]))
    np.testing.assert_array_equal(found, [[0, np.nan, 1], [1, np.nan, np.nan]])


@pytest.mark.parametrize(
    ("models", "hits"),
    [
        (KEYS, np.zeros((3, 1))),
        (KEYS, np.full((3, 2), 0.5)),
        ((KEYS[0], KEYS[0]), np.zeros((3, 2))),
        (KEYS, np.zeros(2)),
    ],
)
def test_what_are_no_hits(models, hits):
    with pytest.raises(SelectionError, match="hits"):
        LabelledHits(models, hits)
