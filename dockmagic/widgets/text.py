"""Words and sizes as pictures show them."""

from __future__ import annotations

import re

from dockmagic.errors import printable as printable  # one of the words, for all that draws

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_DECIMAL = ("B", "kB", "MB", "GB", "TB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def plain_line(text: str) -> str:
    """A line of a program's output without colours and other orders to a terminal.

    >>> plain_line("\x1b[1;31merror\x1b[0m: no")
    'error: no'
    """
    return printable(_ESCAPE.sub("", text).expandtabs())


def size_text(size_bytes: float) -> str:
    """A size in powers of 1000.

    >>> size_text(812), size_text(1_214_000)
    ('812 B', '1.21 MB')
    """
    return _scaled(size_bytes, 1000, _DECIMAL)


def memory_text(size_bytes: float) -> str:
    """A size in powers of 1024.

    >>> memory_text(64 << 20)
    '64 MiB'
    """
    return _scaled(size_bytes, 1024, _BINARY)


def _scaled(size: float, base: int, units: tuple[str, ...]) -> str:
    """Three digits, or all before the point, in the unit that leaves the number below `base`."""
    power = 0
    while round(size) >= base and power < len(units) - 1:
        size /= base
        power += 1
    return f"{size:.0f} {units[power]}" if power == 0 or size >= 100 else f"{size:.3g} {units[power]}"


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 step", "5 steps"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
