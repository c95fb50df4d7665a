"""Signals by the names that people give them. Source: signal(7); docker kill's reference."""

from __future__ import annotations

import re
import signal

from dockmagic.errors import InvalidOption


def signal_number(name: str) -> int:
    """Number of a signal given as "TERM", "SIGTERM", "RTMIN+3" or "15"; raises InvalidOption.

    >>> signal_number("sigterm"), signal_number("RTMIN+3"), signal_number("9")
    (15, 37, 9)
    """
    base, sign, offset = re.split(r"([+-])", name.upper().removeprefix("SIG") + "+0")[:3]
    known = signal.Signals.__members__.get(f"SIG{base}")
    if base.isdecimal() and not name.partition(sign)[2]:
        number = int(base)
    else:
        number = 0 if known is None or not offset.isdecimal() else known + int(f"{sign}{offset}")
    if not 0 < number < signal.NSIG:
        raise InvalidOption(f"invalid signal: {name}; use a name such as TERM or KILL, or a number")
    return number
