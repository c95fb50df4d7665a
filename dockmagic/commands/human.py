"""Sizes and times in Docker's words. Source: docker-units (HumanSize, BytesSize, HumanDuration)."""

from __future__ import annotations

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def decimal_size(size_bytes: float) -> str:
    """A size in powers of 1000 with three digits, as images have it.

    >>> decimal_size(4_268_123)
    '4.27MB'
    """
    return _scaled(size_bytes, 1000, _DECIMAL, 3)


def binary_size(size_bytes: float) -> str:
    """A size in powers of 1024 with four digits, as limits and memory have it.

    >>> binary_size(64 << 20)
    '64MiB'
    """
    return _scaled(size_bytes, 1024, _BINARY, 4)


def _scaled(size: float, base: int, units: tuple[str, ...], digits: int) -> str:
    """The number in the unit that leaves it below `base`."""
    power = 0
    while size >= base and power < len(units) - 1:
        size /= base
        power += 1
    number = f"{size:.{digits}g}"
    return f"{size:.0f}{units[power]}" if "e" in number else f"{number}{units[power]}"


def duration(seconds: float) -> str:
    """A span of time in words: "3 seconds", "About an hour", "5 days"."""
    if seconds < 1:
        return "Less than a second"
    if seconds < _MINUTE:
        return _count(int(seconds), "second")
    if seconds < 2 * _MINUTE:
        return "About a minute"
    if seconds < _HOUR:
        return _count(int(seconds // _MINUTE), "minute")
    hours = int(seconds / _HOUR + 0.5)
    if hours == 1:
        return "About an hour"
    return _count(hours, "hour") if hours < 48 else _days(hours // 24)


def _days(days: int) -> str:
    """Two days and more in the unit that leaves a small number."""
    for length, unit in ((365, "year"), (30, "month"), (7, "week")):
        if days >= 2 * length:
            return _count(days // length, unit)
    return _count(days, "day")


def _count(number: int, unit: str) -> str:
    """A number and its unit, in the plural where it is one."""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def ago(seconds: float) -> str:
    """How long ago, as in "2 minutes ago"; a time to come (a clock was set back) counts as now."""
    return f"{duration(max(seconds, 0))} ago"


def short_id(identifier: str) -> str:
    """The first 12 digits of an id, without its algorithm."""
    return identifier.removeprefix("sha256:")[:12]
