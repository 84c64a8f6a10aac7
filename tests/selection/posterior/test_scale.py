import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.selection.posterior.scale import to_accuracy, to_scale


@given(p=st.floats(0, 1))
def test_the_scale_and_back(p):
    assert abs(to_accuracy(to_scale(np.array(p))) - p) < 1e-9


def test_beyond_the_ends_lie_0_and_1():
    assert to_accuracy(np.array([-0.3, 4.0])).tolist() == [0.0, 1.0]
