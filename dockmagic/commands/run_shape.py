"""The flags on how fast a container's links are, which Docker lacks."""

from __future__ import annotations

import re
from typing import Any, Final

from dockmagic.commands import values
from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.errors import InvalidOption

_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)([kmgt]?)(bit|bps)", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_MOST_S: Final = 60.0


def add_shape(parser: CommandParser) -> None:
    """Add the flags; None where one isn't given."""
    group = parser.add_argument_group("links")
    group.add_argument(
        "--net-rate", type=typed(rate_bits), metavar="RATE",
        help="most that its links carry in each direction: 10mbit, or 1mbps, megabytes; 0: any",
    )  # fmt: skip
    group.add_argument(
        "--net-latency", type=typed(latency_us), metavar="TIME",
        help="time that packets take more in each direction, such as 50ms; 0: none",
    )  # fmt: skip


def shape(args: Namespace) -> dict[str, Any]:
    """What the flags ask for, as fields of RunOptions; None for what isn't given."""
    return {"net_rate_bits": args.net_rate, "net_latency_us": args.net_latency}


def rate_bits(text: str) -> int:
    """Bits a second, in the units of tc(8): bit is a bit, bps a byte a second, and prefixes are powers of 1000.

    >>> rate_bits("1.5mbit"), rate_bits("1kbps"), rate_bits("0")
    (1500000, 8000, 0)
    """
    if text == "0":
        return 0
    found = _RATE.fullmatch(text)
    bits = round(float(found[1]) * 1000 ** _POWERS[found[2].lower()]) if found else 0
    if found and found[3].lower() == "bps":
        bits *= 8
    if bits < 8:
        raise InvalidOption(f"{text!r} isn't a rate; write 500kbit, 10mbit, 1gbit, or bytes: 500kbps, 1mbps")
    return bits


def latency_us(text: str) -> int:
    """Microseconds of a time of at most a minute.

    >>> latency_us("50ms")
    50000
    """
    seconds = values.duration_s(text)
    if seconds > _MOST_S:
        raise InvalidOption(f"{text!r} is more than a minute; write a time such as 50ms")
    return round(seconds * 1e6)
