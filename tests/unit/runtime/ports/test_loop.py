"""The forwarder's loop."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from dockmagic.runtime.ports.loop import READABLE, Loop


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that has something in it."""
    ends = os.pipe()
    os.write(ends[1], b"x")
    yield ends
    for end in ends:
        os.close(end)


def test_an_answer_that_isn_t_done_is_called_again(pipe: tuple[int, int]) -> None:
    loop, calls = Loop(), list[int]()

    def answer() -> bool:
        calls.append(1)
        if len(calls) == 1:
            os.read(pipe[0], 1)
        return len(calls) < 3

    loop.watch(pipe[0], READABLE, answer)
    for _ in range(4):
        loop.turn(0)
    assert len(calls) == 3


def test_what_is_forgotten_is_not_called(pipe: tuple[int, int]) -> None:
    loop, other, calls = Loop(), os.dup(pipe[0]), list[int]()

    def answer(mine: int, its: int) -> bool:
        calls.append(mine)
        loop.forget(its)
        return False

    loop.watch(pipe[0], READABLE, lambda: answer(pipe[0], other))
    loop.watch(other, READABLE, lambda: answer(other, pipe[0]))
    loop.turn(0)
    os.close(other)
    assert len(calls) == 1


def test_clocks_say_how_long_to_wait() -> None:
    loop, times = Loop(), list[float]()

    def clock(now: float) -> float | None:
        times.append(now)
        return now + 0.01 if len(times) < 3 else None

    loop.at(clock)
    assert loop.patience() == pytest.approx(0.01)
    loop.at(lambda now: now + 0.005)
    assert loop.patience() == pytest.approx(0.005)
