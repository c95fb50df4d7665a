"""What the resolver answers by itself: names of a container's neighbours, and their addresses. No sockets here.

Source: RFC 1035, RFC 2308 (a name without what was asked for), RFC 6891 (EDNS); Docker's embedded DNS server.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Protocol

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

TTL_S: Final = 600  # as Docker has it
HEADER_BYTES: Final = 12
LEAST_UDP_BYTES: Final = 512
MOST_BYTES: Final = 65535
Address = IPv4Address | IPv6Address
_VERSIONS: Final = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}


class Neighbours(Protocol):
    """What one container may know of the others on its networks."""

    def addresses(self, name: str) -> Sequence[Address]:
        """All addresses of who is called that, of either version; none where nobody is."""

    def name(self, address: Address) -> str:
        """The full name of who has the address, "" where nobody has."""


def parse(wire: bytes) -> dns.message.QueryMessage | bytes | None:
    """The query, or the answer to one that can't be understood, or None where that is no query at all."""
    if len(wire) < HEADER_BYTES or wire[2] & 0x80:
        return None
    try:
        query = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return refusal(wire, dns.rcode.FORMERR)
    if query.opcode() != dns.opcode.QUERY:
        return refusal(wire, dns.rcode.NOTIMP)
    if not isinstance(query, dns.message.QueryMessage) or len(query.question) != 1:
        return refusal(wire, dns.rcode.FORMERR)
    return query


def refusal(wire: bytes, code: int) -> bytes:
    """An answer with nothing but a code, to a query that is at least a header."""
    flags = bytes((0x80 | wire[2] & 0x79, 0x80 | code))
    return wire[:2] + flags + bytes(8)


def failure(query: dns.message.Message) -> dns.message.Message:
    """The answer where no server could tell."""
    response = _response(query)
    response.set_rcode(dns.rcode.SERVFAIL)
    return response


def own(query: dns.message.QueryMessage, neighbours: Neighbours) -> dns.message.Message | None:
    """The answer where this is about a neighbour; None where others have to be asked."""
    question = query.question[0]
    if question.rdclass != dns.rdataclass.IN:
        return None
    if question.rdtype == dns.rdatatype.PTR:
        return _reverse(query, neighbours)
    known = neighbours.addresses(_text(question.name))
    if not known:
        return None
    wanted = [str(each) for each in known if each.version == _VERSIONS.get(question.rdtype)]
    random.shuffle(wanted)
    return _response(query, wanted)


def is_word(query: dns.message.QueryMessage) -> bool:
    """Whether this asks for addresses of a name without a dot."""
    question = query.question[0]
    return question.rdtype in _VERSIONS and len(question.name) <= 2


def nothing(query: dns.message.Message) -> dns.message.Message:
    """The answer that there is such a name, but nothing of what was asked for."""
    return _response(query)


def _reverse(query: dns.message.QueryMessage, neighbours: Neighbours) -> dns.message.Message | None:
    """The answer to a question for the name of an address."""
    try:
        address = ip_address(dns.reversename.to_address(query.question[0].name))
    except (dns.exception.DNSException, ValueError):
        return None
    name = neighbours.name(address)
    return _response(query, [f"{name}."]) if name else None


def _response(query: dns.message.Message, data: Sequence[str] = ()) -> dns.message.Message:
    """An answer with these records of the kind that was asked for."""
    response = dns.message.make_response(query, recursion_available=True)
    if data:
        question = query.question[0]
        records = dns.rrset.from_text_list(question.name, TTL_S, question.rdclass, question.rdtype, data)
        response.answer.append(records)
    return response


def _text(name: dns.name.Name) -> str:
    """The name in small letters, without a dot at its end."""
    return name.to_text(omit_final_dot=True).lower()


def room(query: dns.message.Message, *, tcp: bool) -> int:
    """How large the answer may be, bytes."""
    return MOST_BYTES if tcp else max(LEAST_UDP_BYTES, query.payload if query.edns >= 0 else 0)


def packed(response: dns.message.Message, most: int) -> bytes:
    """The answer's bytes; of records that don't fit some are left out, and the client told so (TC), who asks again."""
    whole = response.to_wire(max_size=MOST_BYTES)
    if len(whole) <= most or not response.answer:
        return whole
    (records,), response.answer = response.answer, []
    without = len(response.to_wire())
    fitting = (most - without) * len(records) // (len(whole) - without)
    response.answer = [dns.rrset.from_rdata_list(records.name, records.ttl, list(records)[:fitting])] if fitting else []
    response.flags |= dns.flags.TC
    return response.to_wire(max_size=MOST_BYTES)
