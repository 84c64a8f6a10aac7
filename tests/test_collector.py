"""The garbage collector is paused for a while, and as it was afterwards."""

import gc

import pytest

from vlmsel.collector import pause_collector


@pytest.mark.parametrize("was_on", [True, False])
def test_it_is_off_inside_and_as_it_was_afterwards(was_on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        with pause_collector():
            assert not gc.isenabled()
        assert gc.isenabled() is was_on
        with pytest.raises(ZeroDivisionError):
            pause_collector()(divmod)(1, 0)
        assert gc.isenabled() is was_on
    finally:
        (gc.enable if before else gc.disable)()


def test_a_function_may_wear_it() -> None:
    assert pause_collector()(gc.isenabled)() is False
    assert pause_collector()(gc.isenabled)() is False
