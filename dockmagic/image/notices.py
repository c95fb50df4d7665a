"""Warnings that registries give with their answers. Source: distribution-spec "Warnings"; RFC 7234 section 5.5."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Final

MOST_NOTICES: Final = 20  # of one client: a registry may not fill the screen
_LONGEST: Final = 4096  # characters that the specification allows
_WARNING: Final = re.compile(r'(?:^|,)\s*299 - "((?:[^"\\]|\\.)*)"')

OnWarning = Callable[[str, str], None]  # the registry's host, and what it says


def unheard(registry: str, message: str) -> None:
    """Do nothing with a warning."""


def warnings_of(header: str) -> tuple[str, ...]:
    """Texts of a Warning header that are meant for users; others are to be passed over.

    >>> warnings_of('299 - "going away", 110 - "stale"')
    ('going away',)
    """
    return tuple(re.sub(r"\\(.)", r"\1", text)[:_LONGEST] for text in _WARNING.findall(header))


class Notices:
    """Passes each warning on once. Any thread may call it."""

    def __init__(self, on_warning: OnWarning = unheard) -> None:
        self._on_warning = on_warning
        self._seen: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def take(self, registry: str, header: str) -> None:
        """Take the Warning header of an answer of this registry, "" where it has none."""
        for text in warnings_of(header):
            with self._lock:
                is_new = (registry, text) not in self._seen and len(self._seen) < MOST_NOTICES
                self._seen |= {(registry, text)} if is_new else set()
            if is_new:
                self._on_warning(registry, text)
