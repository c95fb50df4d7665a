"""Requests of nf_tables: tables, chains, rules, sets, and what rules are made of.

Changes are batches: a batch is fulfilled as a whole or not at all, and packets see it at one moment. Nothing that the
`nft` program would have to be there for. Source: linux/netfilter/nf_tables.h; nft(8) for the words.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from dockmagic.linux.netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Message,
    Netlink,
    attribute,
    attributes,
    nest,
    text,
)

INET: Final = 1
IPV4: Final = 2
BRIDGE: Final = 7
IPV6: Final = 10

_SUBSYSTEM: Final = 10
_BATCH_BEGIN: Final = 0x10
_BATCH_END: Final = 0x11
_NEWTABLE: Final = 0
_DELTABLE: Final = 2
_NEWCHAIN: Final = 3
_GETCHAIN: Final = 4
_NEWRULE: Final = 6
_GETRULE: Final = 7
_DELRULE: Final = 8
_NEWSET: Final = 9
_NEWSETELEM: Final = 12

PREROUTING: Final = 0
INPUT: Final = 1
FORWARD: Final = 2
OUTPUT: Final = 3
POSTROUTING: Final = 4
PRIORITY_DESTINATION_NAT: Final = -100
PRIORITY_FILTER: Final = 0
PRIORITY_SOURCE_NAT: Final = 100
PRIORITY_BRIDGE_FILTER: Final = -200

DROP: Final = 0
ACCEPT: Final = 1
JUMP: Final = -3
GOTO: Final = -4
RETURN: Final = -5

FIRST: Final = 1  # the first register, of 16 bytes
SECOND: Final = 2
THIRD_WORD: Final = 10  # the register of four bytes that follows eight in the first one

PROTOCOL: Final = 1  # keys of `meta`
IIFNAME: Final = 6
OIFNAME: Final = 7
L4PROTO: Final = 16
LINK_HEADER: Final = 0  # bases of `payload`
NETWORK_HEADER: Final = 1
TRANSPORT_HEADER: Final = 2
CT_STATE: Final = 0  # keys of `ct`
CT_STATUS: Final = 2
ESTABLISHED: Final = 2
RELATED: Final = 4
DNAT: Final = 1 << 5


_OWNER: Final = 0x2  # flag of a table
_ADDRESS_TYPE: Final = 3  # what `fib` gives
_OF_DESTINATION: Final = 2
_LOCAL: Final = 2  # RTN_LOCAL


def _be32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">i" if value < 0 else ">I", value))


def _message(kind: int, flags: int, family: int, what: str, *body: bytes) -> Message:
    return Message(_SUBSYSTEM << 8 | kind, flags, struct.pack(">BBH", family, 0, 0) + b"".join(body), what)


# -- what rules are made of -----------------------------------------------------------------------------------


def _expression(name: str, *data: bytes) -> bytes:
    return nest(1, text(1, name), nest(2, *data))


def meta(key: int, register: int = FIRST) -> bytes:
    """Load a fact about the packet."""
    return _expression("meta", _be32(1, register), _be32(2, key))


def payload(base: int, offset: int, size: int, register: int = FIRST) -> bytes:
    """Load bytes of the packet."""
    return _expression("payload", _be32(1, register), _be32(2, base), _be32(3, offset), _be32(4, size))


def equal(value: bytes, *, negated: bool = False) -> bytes:
    """Go on where the register holds this value, or with `negated` anything else."""
    return _expression("cmp", _be32(1, FIRST), _be32(2, int(negated)), nest(3, attribute(1, value)))


def masked(mask: bytes) -> bytes:
    """Keep only these bits of the register."""
    data = (nest(4, attribute(1, mask)), nest(5, attribute(1, bytes(len(mask)))))
    return _expression("bitwise", _be32(1, FIRST), _be32(2, FIRST), _be32(3, len(mask)), *data)


def tracked(key: int, bits: int) -> tuple[bytes, ...]:
    """Go on where the connection has one of these bits of its state or status."""
    raw = struct.pack("=I", bits)
    load = _expression("ct", _be32(1, FIRST), _be32(2, key))
    return load, masked(raw), equal(bytes(4), negated=True)


def in_set(name: str) -> bytes:
    """Go on where what the registers hold is in the set."""
    return _expression("lookup", text(1, name), _be32(2, FIRST))


def verdict(code: int, chain: str = "") -> bytes:
    """Decide: ACCEPT, DROP, or go to a chain."""
    return _expression("immediate", _be32(1, 0), nest(2, nest(2, _be32(1, code), text(2, chain) if chain else b"")))


def destination(family: int, address: bytes, port: int) -> tuple[bytes, ...]:
    """Have the packet go to another address and port."""
    return (
        _expression("immediate", _be32(1, FIRST), nest(2, attribute(1, address))),
        _expression("immediate", _be32(1, SECOND), nest(2, attribute(1, port.to_bytes(2)))),
        _expression("nat", _be32(1, 1), _be32(2, family), _be32(3, FIRST), _be32(5, SECOND)),
    )


def masquerade() -> bytes:
    """Let the packet seem to come from the link it leaves through."""
    return _expression("masq")


def to_this_host() -> tuple[bytes, bytes]:
    """Go on where the packet is for an address of this host (`fib daddr type local`)."""
    load = _expression("fib", _be32(1, FIRST), _be32(2, _ADDRESS_TYPE), _be32(3, _OF_DESTINATION))
    return load, equal(struct.pack("=I", _LOCAL))


def interface(key: int, name: str, *, negated: bool = False) -> tuple[bytes, bytes]:
    """Go on where the packet came in, or goes out, through this link; a name that ends with * stands for many."""
    raw = name[:-1].encode() if name.endswith("*") else name.encode().ljust(16, b"\0")
    return meta(key), equal(raw, negated=negated)


# -- requests -------------------------------------------------------------------------------------------------


def new_table(family: int, table: str, *, exclusive: bool = False, owned: bool = False) -> Message:
    """Make a table, where there is none; an `exclusive` one is refused where there is one (FileExistsError).

    An `owned` one goes with the socket that made it, and nobody else changes it (Linux 5.12).
    """
    flags = NLM_F_CREATE | (NLM_F_EXCL if exclusive else 0)
    body = text(1, table), _be32(2, _OWNER if owned else 0)
    return _message(_NEWTABLE, flags, family, f"make the table {table}", *body)


def delete_table(family: int, table: str) -> Message:
    """Remove a table with all that is in it."""
    return _message(_DELTABLE, 0, family, f"remove the table {table}", text(1, table))


def new_chain(family: int, table: str, chain: str) -> Message:
    """Make a chain that others lead to."""
    return _message(_NEWCHAIN, NLM_F_CREATE, family, f"make the chain {chain}", text(1, table), text(3, chain))


def base_chain(family: int, table: str, chain: str, kind: str, hook: int, priority: int) -> Message:
    """Make a chain of type filter or nat that packets come to at a hook; it accepts what no rule decides."""
    place = nest(4, _be32(1, hook), _be32(2, priority))
    body = text(1, table), text(3, chain), place, _be32(5, ACCEPT), text(7, kind)
    return _message(_NEWCHAIN, NLM_F_CREATE, family, f"make the chain {chain}", *body)


def new_rule(
    family: int, table: str, chain: str, parts: Iterable[bytes], *, first: bool = False, comment: str = ""
) -> Message:
    """Add a rule as the last of its chain, or as the first one."""
    note = comment.encode() + b"\0"
    userdata = attribute(7, bytes((0, len(note))) + note) if comment else b""
    flags = NLM_F_CREATE | (0 if first else NLM_F_APPEND)
    body = text(1, table), text(2, chain), nest(4, *parts), userdata
    return _message(_NEWRULE, flags, family, f"add a rule to {chain}", *body)


def delete_rule(family: int, table: str, chain: str, handle: bytes) -> Message:
    """Remove the rule with this handle, as `rules` gives it."""
    body = text(1, table), text(2, chain), attribute(3, handle)
    return _message(_DELRULE, 0, family, f"remove a rule of {chain}", *body)


def new_set(family: int, table: str, name: str, kind: int, size: int, number: int) -> Message:
    """Make a set of values of `size` bytes; `kind` is what nft shows them as, `number` another one for each set."""
    body = text(1, table), text(2, name), _be32(3, 0), _be32(4, kind), _be32(5, size), _be32(10, number)
    return _message(_NEWSET, NLM_F_CREATE, family, f"make the set {name}", *body)


def add_elements(family: int, table: str, name: str, values: Sequence[bytes]) -> Message:
    """Put values into a set; those that are there stay."""
    elements = nest(3, *(nest(1, nest(1, attribute(1, value))) for value in values))
    body = text(1, table), text(2, name), elements
    return _message(_NEWSETELEM, NLM_F_CREATE, family, f"add to the set {name}", *body)


def commit(netlink: Netlink, messages: Sequence[Message]) -> None:
    """Make all of these changes, or none; raises OSError."""
    head = struct.pack(">BBH", 0, 0, _SUBSYSTEM)
    netlink.send((Message(_BATCH_BEGIN, 0, head, "begin"), *messages), trailer=Message(_BATCH_END, 0, head))


def chain_facts(netlink: Netlink, family: int, table: str, chain: str) -> tuple[int, int] | None:
    """How many rules a chain has, and its policy; None where there is no such chain. Raises OSError."""
    try:
        asked = _message(_GETCHAIN, 0, family, f"look at the chain {chain}", text(1, table), text(3, chain))
        for body in netlink.ask(asked):
            found = attributes(body[4:])
            uses = struct.unpack(">I", found[6])[0]
            return uses, struct.unpack(">I", found[5])[0] if 5 in found else ACCEPT
    except FileNotFoundError:
        pass
    return None


def rules(netlink: Netlink, family: int, table: str, chain: str) -> list[tuple[bytes, str]]:
    """Handle and comment of every rule of a chain; raises OSError."""
    asked = _message(_GETRULE, NLM_F_DUMP, family, f"list the rules of {chain}", text(1, table), text(2, chain))
    found = []
    for body in netlink.ask(asked):
        facts = attributes(body[4:])
        found.append((facts[3], _comment(facts.get(7, b""))))
    return found


def _comment(userdata: bytes) -> str:
    """The comment in a rule's user data, whose first entry it is; "" where there is none."""
    if len(userdata) < 2 or userdata[0] != 0:
        return ""
    return userdata[2 : 2 + userdata[1]].rstrip(b"\0").decode(errors="replace")
