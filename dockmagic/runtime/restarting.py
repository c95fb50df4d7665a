"""Whether a container starts again when it has ended, and after which pause. Pure.

Source: docker run's reference, "Restart policies"; the numbers are Docker's.
"""

from __future__ import annotations

from typing import Final

from dockmagic.oci.options import RestartPolicy

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 60.0
LONG_RUN_S: Final = 10.0  # after which the next pause is the first one again


class Restarts:
    """The restarts of one container since it was started by hand. The `policy` may be changed at any time."""

    def __init__(self, policy: RestartPolicy) -> None:
        self.policy = policy
        self.count = 0
        self.over = False
        self._stopped = False
        self._pause_s = 0.0

    def stop(self, *, final: bool) -> None:
        """Somebody has sent it a signal; `final`: one that means its end, after which nothing starts it again."""
        self._stopped = True
        self.over = self.over or final

    def after(self, exit_status: int, lasted_s: float) -> float | None:
        """The pause (s) before it starts again, now that it has ended; None where it doesn't."""
        if self.over or not self._wanted(exit_status):
            return None
        self.count += 1
        again = self._pause_s and lasted_s < LONG_RUN_S
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S) if again else FIRST_PAUSE_S
        return self._pause_s

    def _wanted(self, exit_status: int) -> bool:
        match self.policy.name:
            case "always":
                return True
            case "unless-stopped":
                return not self._stopped
            case "on-failure":
                most = self.policy.most_retries
                return exit_status != 0 and (not most or self.count < most)
        return False
