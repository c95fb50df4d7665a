"""The health check of a container, run by its monitor: when the next is due, its process, and what that said."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from dockmagic.oci.codec import encode
from dockmagic.oci.image import Healthcheck
from dockmagic.runtime.executions import Execution
from dockmagic.runtime.health import FAILED, MOST_OUTPUT, Health, Result, limited
from dockmagic.runtime.ledger import Ledger
from dockmagic.runtime.stage import Failed

Launch = Callable[[Sequence[str], int, Callable[[int], None]], Execution]
"""Starts a command in the container that writes to a descriptor (taken over), and calls back with its exit status."""


@dataclass(slots=True)
class _Probe:
    """A check under way: its process, the pipe that it writes to, and what it wrote."""

    execution: Execution
    source: int
    start_ns: int
    output: bytes = b""
    late: bool = False

    def read(self) -> bool:
        """Keep the beginning of what it writes, and one byte more to tell that there is more; False at its end."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.source, MOST_OUTPUT + 1)
            self.output = (self.output + data)[: MOST_OUTPUT + 1]
            return bool(data)
        return True


class Prober:
    """Checks a container's health while it runs; results go to the file `path`, the health to the ledger."""

    def __init__(
        self, check: Healthcheck, path: str, ledger: Ledger, selector: selectors.BaseSelector, launch: Launch
    ) -> None:
        self._check = check
        self._path = path
        self._ledger = ledger
        self._selector = selector
        self._launch = launch
        self._health = Health(check, 0)
        self._probe: _Probe | None = None
        self._due_ns: int | None = None  # of the next check, or of the end of the one under way

    def begin(self) -> None:
        """The container has just started."""
        self._health.begin(time.time_ns())
        self._tell()
        self.resume()

    def resume(self) -> None:
        """Check from now on."""
        self._due_ns = time.monotonic_ns() + self._health.interval_ns(time.time_ns())

    def suspend(self) -> None:
        """Check no more; a check under way is given up."""
        self._due_ns = None
        if self._probe is not None:
            self._end(self._probe)
            self._kill(self._probe)
            self._probe = None

    def remaining_s(self) -> float | None:
        """Time until there is something to do; None where nothing is."""
        return None if self._due_ns is None else max(0.0, (self._due_ns - time.monotonic_ns()) / 1e9)

    def work(self) -> None:
        """Do what is to be done now: start a check, or kill one that takes too long."""
        if self.remaining_s() != 0.0:
            return
        if self._probe is None:
            self._start()
        else:
            self._probe.late, self._due_ns = True, None
            self._kill(self._probe)

    def _start(self) -> None:
        """Start a check; one that can't start has failed."""
        source, end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(end, True)
        start_ns = time.time_ns()
        try:
            execution = self._launch(self._check.test[1:], end, self._on_end)
        except (Failed, OSError) as error:
            os.close(source)
            self._take(Result(start_ns, time.time_ns(), FAILED, str(error)))
            return
        self._probe, self._due_ns = _Probe(execution, source, start_ns), time.monotonic_ns() + self._check.timeout
        self._selector.register(source, selectors.EVENT_READ, partial(self._on_output, self._probe))

    def _on_output(self, probe: _Probe) -> None:
        """Take what the check writes, unless it has ended just now."""
        if probe is self._probe and not probe.read():
            self._selector.unregister(probe.source)

    def _on_end(self, exit_status: int) -> None:
        """The process of a check has ended; one that was given up says nothing."""
        probe, self._probe = self._probe, None
        if probe is None:
            return
        probe.read()
        self._end(probe)
        output = limited(probe.output)
        if probe.late:
            told = f"Health check exceeded timeout ({duration(self._check.timeout)})"
            exit_status, output = FAILED, f"{told}: {output}" if output else told
        self._take(Result(probe.start_ns, time.time_ns(), exit_status, output))

    def _end(self, probe: _Probe) -> None:
        """Read no more of it."""
        if probe.source in self._selector.get_map():
            self._selector.unregister(probe.source)
        os.close(probe.source)

    @staticmethod
    def _kill(probe: _Probe) -> None:
        """End the check's process and what it has started, which is in a session of its own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(probe.execution.pid, signal.SIGKILL)

    def _take(self, result: Result) -> None:
        """Judge by the result, and plan the next check."""
        changed = self._health.take(result)
        self._tell()
        if changed:
            self._ledger.note(f"health_status: {self._health.status}")
        self.resume()

    def _tell(self) -> None:
        """Write down how healthy it is, and the last results."""
        self._ledger.change(health=self._health.status, failing_streak=self._health.failing_streak)
        with contextlib.suppress(OSError):  # a full disk costs results, never the container
            with open(f"{self._path}.new", "w") as file:
                json.dump([encode(result) for result in self._health.results], file)
            os.rename(f"{self._path}.new", self._path)


def duration(time_ns: int) -> str:
    """A duration in Go's words.

    >>> duration(90_000_000_000), duration(500_000_000), duration(2_500_000_000), duration(1)
    ('1m30s', '500ms', '2.5s', '1ns')
    """
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if time_ns < size * 1000:
            return f"{time_ns / size:.9g}{unit}"
    minutes, rest = divmod(time_ns, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 1e9:.9g}s"
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}" if minutes else seconds
