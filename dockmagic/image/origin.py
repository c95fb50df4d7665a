"""Whom a request may be sent to, and which two URLs are the same party's; pure."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

from dockmagic.errors import RegistryError

_PORTS: Final = {"http": 80, "https": 443}


def check_url(url: str, method: str = "GET", insecure: frozenset[str] = frozenset()) -> None:
    """Raise RegistryError unless `url` is safe to send something to, or on a host that was declared insecure."""
    if not is_safe(url, insecure):
        raise RegistryError(
            f"{method} {url}: refused, since only https is safe to a host other than this one; "
            "use a registry with TLS or one on localhost, or list it as insecure in dockmagic.toml",
            method=method,
            url=url,
        )


def is_safe(url: str, insecure: frozenset[str] = frozenset()) -> bool:
    """Whether `url` is https, or http to a loopback host or one of the `insecure` (HOST or HOST:PORT).

    >>> [is_safe(url) for url in ("https://r.example", "http://localhost:5000", "http://r.example", "localhost:5000")]
    [True, True, False, False]
    """
    parts = _split(url)
    if parts is None or not parts.hostname:
        return False
    return parts.scheme == "https" or (
        parts.scheme == "http" and (is_loopback(parts.hostname) or is_among(parts.netloc, insecure))
    )


def is_among(registry: str, hosts: frozenset[str]) -> bool:
    """Whether a registry's HOST:PORT is one of these, which can leave out the port.

    >>> [is_among(name, frozenset({"a.example", "b.example:5000"})) for name in ("a.example:1", "b.example")]
    [True, False]
    """
    return registry in hosts or registry.rpartition(":")[0] in hosts


def check_web(url: str, method: str = "GET") -> None:
    """Raise RegistryError unless `url` is http or https, to whatever host."""
    parts = _split(url)
    if parts is None or not parts.hostname or parts.scheme not in _PORTS:
        raise RegistryError(f"{method} {url}: neither http:// nor https://", method=method, url=url)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address means this machine.

    >>> [is_loopback(host) for host in ("localhost", "127.8.9.1", "::1", "10.0.0.1", "127.0.0.1.example")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin(url: str) -> tuple[str, str, int] | None:
    """What must stay the same for a secret to be sent: scheme, host and port; None for what is no URL."""
    parts = _split(url)
    if parts is None or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)


def _split(url: str) -> SplitResult | None:
    """Parts of a URL, its port checked; None for what is no URL."""
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None
