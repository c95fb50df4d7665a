"""A container's /etc/resolv.conf, made from the host's and the user's flags. Pure.

Source: resolv.conf(5); `docker run`'s reference, "DNS services".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

RESOLVER: Final = "127.0.0.11"
"""Where containers on networks of the user's ask."""
FALLBACK: Final = ("8.8.8.8", "8.8.4.4")
FALLBACK_V6: Final = ("2001:4860:4860::8888", "2001:4860:4860::8844")
"""Servers for a container where the host's file names none that it could reach."""
_STUB: Final = "127.0.0.53"


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What a resolv.conf says; `others` are lines with other keywords. `chosen`: the user named its servers."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    chosen: bool = False

    @property
    def ndots(self) -> int | None:
        """How many dots a name has at least that is tried as it is, before the search list; None where unsaid."""
        values = [value for name, _, value in (option.partition(":") for option in self.options) if name == "ndots"]
        return int(values[-1]) if values and values[-1].isdecimal() else None

    def text(self) -> str:
        """The file."""
        lines = [f"nameserver {server}" for server in self.servers]
        lines += [f"search {' '.join(self.search)}"] if self.search else []
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "".join(f"{line}\n" for line in (*lines, *self.others))


@dataclass(frozen=True, slots=True)
class Upstream:
    """A server that queries are passed on to; one `on_host` is reached from the host's network, not the container's."""

    address: str
    on_host: bool
    port: int = 53


def parse(text: str) -> ResolvConf:
    """What the file says: the last search list counts, servers that are no addresses don't.

    >>> parse("nameserver 192.0.2.1\\nsearch a b\\noptions ndots:2").text()
    'nameserver 192.0.2.1\\nsearch a b\\noptions ndots:2\\n'
    """
    found = ResolvConf()
    for line in text.splitlines():
        match line.split():
            case []:
                continue
            case [word, *_] if word.startswith(("#", ";")):
                continue
            case ["nameserver", server, *_]:
                found = replace(found, servers=found.servers + ((server,) if _is_address(server) else ()))
            case ["search" | "domain", *domains]:
                found = replace(found, search=tuple(domains))
            case ["options", *options]:
                found = replace(found, options=(*found.options, *options))
            case ["nameserver"]:
                continue
            case _:
                found = replace(found, others=(*found.others, line))
    return found


def chosen(host: ResolvConf, servers: Sequence[str], search: Sequence[str], options: Sequence[str]) -> ResolvConf:
    """The host's, with what the user gave in place of it; the search list "." is an empty one."""
    return replace(
        host,
        servers=tuple(servers) or host.servers,
        search=tuple(domain for domain in search if domain != ".") if search else host.search,
        options=tuple(options) or host.options,
        chosen=bool(servers),
    )


def reachable(conf: ResolvConf, *, ipv6: bool = False) -> ResolvConf:
    """The file of a container that asks servers by itself: without those of the host that it can't reach."""
    if conf.chosen:
        return conf
    left = [server for server in conf.servers if not _only_on_host(server, ipv6=ipv6)]
    return replace(conf, servers=tuple(left) or _fallback(ipv6=ipv6))


def embedded(conf: ResolvConf) -> ResolvConf:
    """The file of a container that asks the resolver, for names of one word first of all."""
    if conf.ndots is not None:
        return replace(conf, servers=(RESOLVER,))
    valid = [option for option in conf.options if not option.startswith("ndots:")]
    return replace(conf, servers=(RESOLVER,), options=(*valid, "ndots:0"))


def upstreams(conf: ResolvConf, *, ipv6: bool = False) -> tuple[Upstream, ...]:
    """Where the resolver passes on what it doesn't know itself, the best first.

    A loopback address that the user gave is one of the container's, one of the host's file is the host's.
    """
    if not conf.servers:
        return tuple(Upstream(server, on_host=False) for server in _fallback(ipv6=ipv6))
    return tuple(Upstream(server, not conf.chosen and _only_on_host(server, ipv6=ipv6)) for server in conf.servers)


def _only_on_host(server: str, *, ipv6: bool) -> bool:
    """Whether a server of the host's file can't be reached from a container."""
    address = ip_address(server)
    return address.is_loopback or (address.version == 6 and (not ipv6 or "%" in server))


def _fallback(*, ipv6: bool) -> tuple[str, ...]:
    return FALLBACK + FALLBACK_V6 if ipv6 else FALLBACK


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def host_files(stub: str, behind_stub: str) -> str:
    """The host's file that tells most: where systemd-resolved's stub is all that the first names, the one behind it.

    Both are texts. Source: systemd-resolved(8), "/etc/resolv.conf".
    """
    return behind_stub if parse(stub).servers == (_STUB,) and parse(behind_stub).servers else stub
