"""Durations as Go writes them: "1h30m", "1.5s", "300ms". Source: documentation of Go's time.ParseDuration."""

from __future__ import annotations

import re
from fractions import Fraction

UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_MAX_LENGTH = 40
_MAX_NS = 2**63 - 1


def parse_duration(text: str) -> int:
    """The duration in ns; raises ValueError for text of another form, and beyond 292 years.

    >>> parse_duration("1m30s"), parse_duration("0.5ms")
    (90000000000, 500000)
    """
    sign = -1 if text.startswith("-") else 1
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if digits == "0":
        return 0
    parts = _PART.findall(digits)
    if len(text) > _MAX_LENGTH or not parts or "".join(number + unit for number, unit in parts) != digits:
        raise ValueError(f"invalid duration {text[:_MAX_LENGTH]!r}; expected a form like 30s, 1m30s or 500ms")
    total = int(sum(Fraction(_decimal(number)) * UNITS_NS[unit] for number, unit in parts))
    if total > _MAX_NS:
        raise ValueError(f"invalid duration {text!r}; it is too long")
    return sign * total


def _decimal(number: str) -> str:
    """The number in the form that Fraction takes: a digit on both sides of the point."""
    whole, _, part = number.partition(".")
    return f"{whole or 0}.{part or 0}"
