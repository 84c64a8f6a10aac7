"""Threads wait for bytes of a pool, and what is larger than it goes alone."""

import threading
from contextlib import ExitStack

from vlmsel.execution.work.byte_pool import BytePool


def test_who_asks_for_more_than_is_free_waits():
    pool, began = BytePool(10), threading.Event()

    def third() -> None:
        with pool.hold(5):
            began.set()

    with ExitStack() as first:
        first.enter_context(pool.hold(6))
        with pool.hold(4):
            thread = threading.Thread(target=third)
            thread.start()
            assert not began.wait(0.05)
        assert not began.wait(0.05), "4 are free now, 5 are asked for"
        first.close()
        assert began.wait(5)
    thread.join()


def test_what_is_larger_than_the_pool_goes_alone():
    pool, began = BytePool(10), threading.Event()

    def other() -> None:
        with pool.hold(1):
            began.set()

    with pool.hold(100):
        thread = threading.Thread(target=other)
        thread.start()
        assert not began.wait(0.05)
    assert began.wait(5)
    thread.join()
