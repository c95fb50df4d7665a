"""The proxy that stands between us and a host, as Docker's programs find it: HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

Names in capitals go before the same in small letters; nobody's proxy is asked for this machine itself. Pure. Source:
golang.org/x/net/http/httpproxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from dockmagic.image.origin import is_loopback

_PORTS: Final = {"http": 80, "https": 443}


def proxy_for(url: str, environ: Mapping[str, str]) -> str:
    """The proxy's URL for a request to this http or https URL; "" where it goes straight.

    >>> proxy_for("https://r.example/v2/", {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "other.example"})
    'http://proxy:3128'
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    if is_loopback(host) or any(_matches(rule, host, port) for rule in _variable(environ, "no_proxy").split(",")):
        return ""
    return _variable(environ, f"{parts.scheme}_proxy")


def _variable(environ: Mapping[str, str], name: str) -> str:
    """The variable's value in either spelling, "" where there is none."""
    return environ.get(name.upper()) or environ.get(name, "")


def _matches(rule: str, host: str, port: int) -> bool:
    """Whether a part of NO_PROXY means this host: *, an address, a network, a domain; the former ones with a port.

    >>> [_matches("example.com", host, 443) for host in ("example.com", "a.example.com", "badexample.com")]
    [True, True, False]
    >>> [_matches(rule, "10.1.2.3", 5000) for rule in ("10.0.0.0/8", "10.1.2.3:5000", "10.1.2.3:80", "*")]
    [True, True, False, True]
    """
    rule = rule.strip().lower()
    if rule == "*":
        return True
    if "/" in rule:
        return _in_network(host, rule)
    name, wanted = _split_port(rule)
    if not name or (wanted and wanted != str(port)):
        return False
    if name.startswith(("*.", ".")):
        return host.endswith(name.removeprefix("*"))
    return host == name or (not _is_address(name) and host.endswith(f".{name}"))


def _split_port(rule: str) -> tuple[str, str]:
    """Host and port of a rule; "[::1]:80" and "::1" are addresses."""
    if rule.startswith("["):
        name, _, port = rule[1:].partition("]")
        return name, port.removeprefix(":")
    if rule.count(":") == 1:
        name, _, port = rule.partition(":")
        return name, port
    return rule, ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _in_network(host: str, network: str) -> bool:
    """Whether a host is an address in this network."""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
