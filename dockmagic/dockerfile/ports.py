"""The ports that EXPOSE names. Source: Dockerfile reference, "EXPOSE"; Docker's port specifications."""

from __future__ import annotations

from collections.abc import Sequence

from dockmagic.errors import one_of

PROTOCOLS = ("tcp", "udp", "sctp")
_HIGHEST = 65535
_DIGITS = 5


def exposed_ports(words: Sequence[str]) -> tuple[str, ...]:
    """Each port once, sorted as text, in the form "8080/tcp"; an address or a host's port before it is left out.

    Raises ValueError for a word that names no port.

    >>> exposed_ports(["8000-8001/UDP", "80", "127.0.0.1:80:80"])
    ('80/tcp', '8000/udp', '8001/udp')
    """
    return tuple(sorted({port for word in words for port in _ports(word)}))


def _ports(word: str) -> list[str]:
    """The ports of one word."""
    place, _, protocol = word.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}; use {one_of(PROTOCOLS)}")
    ports = place.rpartition(":")[2]
    first, dash, last = ports.partition("-")
    low, high = _number(first, word), _number(last if dash else first, word)
    if low > high:
        raise ValueError(f"invalid range: {ports}; the first port is higher than the last")
    return [f"{port}/{protocol}" for port in range(low, high + 1)]


def _number(text: str, word: str) -> int:
    """The port's number."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and 0 < int(text) <= _HIGHEST):
        raise ValueError(f"invalid containerPort: {word}; a port is a number from 1 to {_HIGHEST}")
    return int(text)
