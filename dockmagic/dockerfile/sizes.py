"""Amounts of memory as Docker writes them: "64m", "1.5g". Source: docker/go-units RAMInBytes."""

from __future__ import annotations

import re
from decimal import Decimal

_SIZE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+) ?(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def parse_size(text: str) -> int:
    """Bytes; every unit is a power of 1024. Raises ValueError.

    >>> parse_size("1.5k"), parse_size("1GiB")
    (1536, 1073741824)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} isn't a size; write a number with b, k, m or g, such as 64m")
    number, unit = match.groups()
    return int(Decimal(number) * 1024 ** _POWER[(unit or "").lower()])
