from __future__ import annotations

import threading
import time

import pytest

from dockmagic.image.workers import Workers


def never() -> None:
    pytest.fail("nothing is to be called off")


def test_all_is_done_in_order_and_no_more_than_so_much_at_once() -> None:
    running, most, order = [0], [0], []
    lock = threading.Lock()

    def work(number: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            order.append(number)
        time.sleep(0.005)
        with lock:
            running[0] -= 1

    with Workers(2, "test", never) as workers:
        for number in range(8):
            workers.submit(work, number)
    assert order == list(range(8))
    assert most[0] == 2


def test_an_error_calls_off_what_is_under_way_and_drops_what_waits() -> None:
    """Called off again and again: the first time one of them may not have begun to listen."""
    calls, begun, done = [0], threading.Event(), threading.Event()
    waited: list[int] = []

    def cancel() -> None:
        calls[0] += 1
        if calls[0] == 3:
            done.set()

    def work() -> None:
        begun.set()
        assert done.wait(10)

    def interrupted() -> None:
        with Workers(1, "test", cancel) as workers:
            workers.submit(work)
            workers.submit(waited.append, 1)
            begun.wait(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert calls[0] == 3
    assert waited == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test")]


def test_an_error_is_its_future_s() -> None:
    def fail() -> None:
        raise ValueError

    with Workers(1, "test", never) as workers:
        future = workers.submit(fail)
    assert isinstance(future.exception(), ValueError)
