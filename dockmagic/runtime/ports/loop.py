"""The forwarder's loop: descriptors, and what answers to them. Source: epoll(7)."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Final, NoReturn

READABLE: Final = select.EPOLLIN
BOTH_EDGES: Final = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_IMMEDIATELY: Final = 0.0

Answer = Callable[[], bool]
"""Does what a descriptor asks for; True where its turn is over before its work is."""
Clock = Callable[[float], float | None]
"""Does what is due at this time (s, monotonic); when it wants to be called again, None for never."""


class Loop:
    """Waits for events, and calls what answers to them. It sleeps when there is nothing to do."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._answers: dict[int, Answer] = {}
        self._ready: dict[Answer, None] = {}
        self._unfinished: dict[Answer, None] = {}
        self._clocks: list[Clock] = []

    def watch(self, descriptor: int, events: int, answer: Answer) -> None:
        """Have `answer` called at these events. Raises OSError."""
        self._epoll.register(descriptor, events)
        self._answers[descriptor] = answer

    def forget(self, descriptor: int) -> None:
        """Cease to watch a descriptor, which is still open."""
        self._ready.pop(self._answers.pop(descriptor), None)
        self._epoll.unregister(descriptor)

    def at(self, clock: Clock) -> None:
        """Have `clock` called from time to time."""
        self._clocks.append(clock)

    def run(self) -> NoReturn:
        """Answer events for ever."""
        while True:
            self.turn(self.patience())

    def turn(self, patience_s: float | None) -> None:
        """Wait for events, and answer them; then go on with what wasn't finished before."""
        self._ready, self._unfinished = self._unfinished, {}
        for descriptor, _ in self._epoll.poll(_IMMEDIATELY if self._ready else patience_s):
            self._ready[self._answers[descriptor]] = None
        while self._ready:
            answer, _ = self._ready.popitem()
            if answer():
                self._unfinished[answer] = None

    def patience(self) -> float | None:
        """Let the clocks do what is due; seconds until the next has something to do, None for never."""
        now = time.monotonic()
        times = [wanted for clock in self._clocks if (wanted := clock(now)) is not None]
        return max(0.0, min(times) - now) if times else None
