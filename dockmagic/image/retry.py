"""How long to wait for an answer, and how often and after which pause something is tried again.

Source: RFC 9110 section 10.2.3 (Retry-After).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from dockmagic.errors import RegistryError


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for a connection, and for the next bytes of an answer."""

    connect_s: float = 5.0
    read_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Retry:
    """At most `attempts` tries, with pauses that double from `base_s` on and differ by chance.

    The registry's own word on how long to wait counts, as long as that is no more than `longest_s`.
    """

    attempts: int = 5
    base_s: float = 0.25
    longest_s: float = 60.0

    def pause_s(self, failures: int, error: RegistryError) -> float | None:
        """Seconds to wait after this many failures in a row, None where another try is of no use."""
        if not error.passing or failures >= self.attempts:
            return None
        if error.wait_s is not None:
            return error.wait_s if error.wait_s <= self.longest_s else None
        return min(self.base_s * float(2 ** (failures - 1)), self.longest_s) * random.uniform(0.5, 1.0)
