"""A container's /etc/hosts. Pure. Source: hosts(5); `docker run`'s reference, "--add-host" and "--link"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dockmagic.errors import InvalidOption

GATEWAY: Final = "host-gateway"
"""Stands for the host's address, as the container reaches it."""
LOCALHOST: Final = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)

Entry = tuple[str, str]
"""Names, with spaces between them, and their address."""


def text(entries: Iterable[Entry], above: str = LOCALHOST) -> str:
    """The file: what is `above`, then a line for each entry.

    >>> text([("one two", "192.0.2.1")], "127.0.0.1 localhost")
    '127.0.0.1 localhost\\n192.0.2.1\\tone two\\n'
    """
    lines = "".join(f"{address}\t{names}\n" for names, address in entries)
    return above + ("\n" if lines and above and not above.endswith("\n") else "") + lines


def own_names(hostname: str, domainname: str = "") -> str:
    """What a container calls itself: the full name and the short one.

    >>> own_names("web", "example.org"), own_names("web")
    ('web.example.org web', 'web')
    """
    full = f"{hostname}.{domainname}" if domainname else hostname
    short, dot, _ = full.partition(".")
    return f"{full} {short}" if dot else full


def with_gateway(entries: Iterable[Entry], gateways: Iterable[str]) -> list[Entry]:
    """The entries, `host-gateway` in them replaced by each of the gateway's addresses; raises InvalidOption for none.

    >>> with_gateway([("host", "host-gateway"), ("a", "10.0.0.1")], ["172.17.0.1", "fd00::1"])
    [('host', '172.17.0.1'), ('host', 'fd00::1'), ('a', '10.0.0.1')]
    """
    known, found = tuple(gateways), []
    for names, address in entries:
        if address == GATEWAY and not known:
            raise InvalidOption(f"--add-host {names}:{GATEWAY}: no gateway leads out of this network; name an address")
        found += [(names, each) for each in known] if address == GATEWAY else [(names, address)]
    return found


def without(present: str, entries: Iterable[Entry]) -> str:
    """The file's text without these entries' lines; all else stays, what the container wrote there, too.

    >>> without("127.0.0.1\\tlocalhost\\n10.0.0.2\\tweb\\n", [("web", "10.0.0.2")])
    '127.0.0.1\\tlocalhost\\n'
    """
    gone = {(address, *names.split()) for names, address in entries}
    return "".join(line for line in present.splitlines(keepends=True) if tuple(line.split()) not in gone)
