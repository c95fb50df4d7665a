"""The health of a container: what becomes of it with each result of its check, and when the next one is due. Pure.

    starting --(a success)--> healthy --(as many failures as retries)--> unhealthy --(a success)--> healthy
        |--(as many failures as retries, none of the start period)-----------^

Source: Dockerfile reference, "HEALTHCHECK"; the numbers are Docker's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dockmagic.oci.image import Healthcheck

STARTING: Final = "starting"
HEALTHY: Final = "healthy"
UNHEALTHY: Final = "unhealthy"
FAILED: Final = -1  # the status of a check that didn't come to an end by itself
MOST_RESULTS: Final = 5
MOST_OUTPUT: Final = 4096


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check; times in ns since the epoch."""

    start_ns: int
    end_ns: int
    exit_status: int
    output: str


class Health:
    """The health of a container whose check has all its values (`oci.health.effective`)."""

    def __init__(self, check: Healthcheck, started_ns: int) -> None:
        self.status = STARTING
        self.failing_streak = 0
        self.results: list[Result] = []
        self._check = check
        self._started_ns = started_ns

    def begin(self, started_ns: int) -> None:
        """The container starts (again) at this time; the results so far are kept."""
        self.status, self.failing_streak, self._started_ns = STARTING, 0, started_ns

    def interval_ns(self, now_ns: int) -> int:
        """How long to wait for the next check, asked for at this time."""
        if self.status == STARTING and self._in_start_period(now_ns):
            return self._check.start_interval
        return self._check.interval

    def take(self, result: Result) -> bool:
        """Add a result; whether the status has changed by it."""
        before = self.status
        self.results = [*self.results, result][-MOST_RESULTS:]
        if result.exit_status == 0:
            self.status, self.failing_streak = HEALTHY, 0
        elif self.status != STARTING or not self._in_start_period(result.start_ns):
            self.failing_streak += 1
            if self.failing_streak >= self._check.retries:
                self.status = UNHEALTHY
        return self.status != before

    def _in_start_period(self, time_ns: int) -> bool:
        return time_ns - self._started_ns < self._check.start_period


def limited(output: bytes) -> str:
    """The output as it is kept: its beginning, and a mark where there was more.

    >>> len(limited(b"x" * 5000))
    4099
    """
    return output[:MOST_OUTPUT].decode(errors="replace") + ("..." if len(output) > MOST_OUTPUT else "")
