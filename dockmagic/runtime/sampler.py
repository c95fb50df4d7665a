"""One thread that samples all watched containers at a fixed rate; it exists only while something is watched."""

from __future__ import annotations

import contextvars
import threading
import time
from dataclasses import dataclass
from typing import Final

from dockmagic.runtime.samples import Reader
from dockmagic.runtime.series import CAPACITY, Series

INTERVAL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Watched:
    reader: Reader
    series: Series

    def sample(self) -> bool:
        """Take a sample; False when the group is gone."""
        try:
            self.series.append(self.reader.read())
        except OSError:
            return False
        return True

    def end(self) -> None:
        self.reader.close()
        self.series.ended.set()


class Sampler:
    """Watches containers by their id. Its methods may be called from any thread."""

    def __init__(self, interval_s: float = INTERVAL_S, capacity: int = CAPACITY) -> None:
        self.interval_s = interval_s
        self._capacity = capacity
        self._watched: dict[str, _Watched] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, container_id: str, reader: Reader) -> Series:
        """Watch a container until it is gone or removed; the reader is the sampler's from now on.

        The first sample is taken at once. One that is watched already keeps its series.
        """
        with self._changed:
            if container_id in self._watched:
                reader.close()
                return self._watched[container_id].series
            watched = _Watched(reader, Series(self._capacity))
            if not watched.sample():
                watched.end()
                return watched.series
            self._watched[container_id] = watched
            self._start()
            return watched.series

    def remove(self, container_id: str) -> None:
        """Take a last sample, and stop watching. Nothing happens for one that isn't watched."""
        with self._changed:
            watched = self._watched.pop(container_id, None)
            if watched is not None:
                watched.sample()
                watched.end()
                self._changed.notify_all()

    def series(self, container_id: str) -> Series | None:
        """The series of a container that is being watched."""
        with self._changed:
            watched = self._watched.get(container_id)
            return None if watched is None else watched.series

    def close(self) -> None:
        """Stop watching everything, and wait for the thread to end. The sampler can be used again."""
        with self._changed:
            thread = self._thread
            for container_id in list(self._watched):
                self.remove(container_id)
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        """Start the thread unless it runs; the caller holds the lock. It inherits the caller's context variables."""
        if self._thread is None:
            context = contextvars.copy_context()
            self._thread = threading.Thread(
                target=context.run, args=(self._run,), name="dockmagic-sampler", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        """Sample at multiples of the interval since the start; one that is missed is left out, not made up for."""
        due = time.monotonic() + self.interval_s
        with self._changed:
            while self._watched:
                if self._changed.wait(due - time.monotonic()):
                    continue  # something was removed
                self._sample_all()
                due += self.interval_s * (1 + max(0, (time.monotonic() - due) // self.interval_s))
            self._thread = None

    def _sample_all(self) -> None:
        for container_id, watched in list(self._watched.items()):
            if not watched.sample():
                watched.end()
                del self._watched[container_id]
