"""Limits against archive bombs, and a stream that keeps to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from dockmagic.errors import InvalidLayer, InvalidOption
from dockmagic.image.streams import Source

VARIABLE: Final = "DOCKMAGIC_UNPACK_LIMITS"
"""The environment variable in which a user raises or lowers them."""
_FIELDS: Final = {"entries": "max_entries", "bytes": "max_bytes", "ratio": "max_ratio"}
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may ask for at most; the defaults stop bombs, no image of use comes near them.

    The ratio is that of plain to compressed bytes; it counts only above `ratio_from_bytes`, since a few gigabytes of
    zeros are harmless and shrink to almost nothing. The last two are of archives that hold images.
    """

    max_entries: int = 10_000_000
    max_bytes: int = 1 << 40  # of all files together, holes included; and of the plain stream
    max_ratio: int = 2_000
    ratio_from_bytes: int = 16 << 30
    max_archive_files: int = 100_000
    max_document_bytes: int = 8 << 20  # of a manifest, an index or a config


DEFAULT_LIMITS: Final = Limits()


def parse_limits(text: str) -> Limits:
    """Limits of a text such as "entries=20m,bytes=2t,ratio=5000", the others at their defaults; raises InvalidOption.

    >>> parse_limits("bytes=2t").max_bytes == 2 << 40
    True
    """
    changes: dict[str, int] = {}
    for item in filter(None, text.split(",")):
        name, _, value = item.strip().lower().partition("=")
        digits = value.rstrip("kmgt")
        unit = value[len(digits) :]
        if name not in _FIELDS or not (digits.isascii() and digits.isdigit()) or unit not in _UNITS:
            raise InvalidOption(f"{VARIABLE}: can't read {item!r}; expected entries=N, bytes=N or ratio=N, as in 20m")
        changes[_FIELDS[name]] = int(digits) * _UNITS[unit]
    return replace(DEFAULT_LIMITS, **changes)


def refuse(what: str, limit: str, size: int) -> NoReturn:
    """Raise the InvalidLayer that names a limit and says how to raise it."""
    unit = {"entries": "files", "bytes": "bytes"}.get(limit, "times its size once it is unpacked")
    raise InvalidLayer(
        f"the {what} holds more than {size} {unit}, as a bomb would; "
        f"if it is meant to, raise the limit in the environment: {VARIABLE}={limit}=N"
    )


class Guarded:
    """A plain stream that raises InvalidLayer as soon as more comes out of it than the limits allow."""

    def __init__(self, plain: Source, stored_bytes: Callable[[], int], limits: Limits, what: str = "layer") -> None:
        """`stored_bytes` tells how many compressed bytes there are, or have been so far."""
        self._plain = plain
        self._stored_bytes = stored_bytes
        self._limits = limits
        self._what = what
        self._size = 0

    def read(self, size: int = -1, /) -> bytes:
        """What the stream gives."""
        data = self._plain.read(size)
        self._size += len(data)
        if self._size > self._limits.max_bytes:
            refuse(self._what, "bytes", self._limits.max_bytes)
        is_large = self._size > self._limits.ratio_from_bytes
        if is_large and self._size > self._limits.max_ratio * self._stored_bytes():
            refuse(self._what, "ratio", self._limits.max_ratio)
        return data
