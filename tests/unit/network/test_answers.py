from __future__ import annotations

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.network import answers
from tests.unit.network.neighbours import Known

KNOWN = Known(
    {
        "web": ["172.18.0.2", "fd00::2"],
        "db": ["172.18.0.3"],
        "many": [f"172.18.1.{number}" for number in range(200)],
    }
)


def own(name: str, kind: str = "A") -> dns.message.Message | None:
    query = dns.message.make_query(name, kind)
    assert isinstance(query, dns.message.QueryMessage)
    found = answers.own(query, KNOWN)
    assert found is None or query.is_response(found)
    return found


def records(found: dns.message.Message | None) -> list[str]:
    assert found is not None
    assert found.rcode() == dns.rcode.NOERROR
    return [record.to_text() for rrset in found.answer for record in rrset]


@pytest.mark.parametrize(
    ("name", "kind", "found"),
    [
        ("web", "A", ["172.18.0.2"]),
        ("WEB.", "A", ["172.18.0.2"]),
        ("web", "AAAA", ["fd00::2"]),
        ("db", "AAAA", []),
        ("db", "MX", []),
        ("db", "HTTPS", []),
        ("2.0.18.172.in-addr.arpa", "PTR", ["web."]),
    ],
)
def test_a_neighbour(name: str, kind: str, found: list[str]) -> None:
    assert records(own(name, kind)) == found


@pytest.mark.parametrize(
    ("name", "kind"),
    [("other", "A"), ("web.example.org", "A"), ("9.9.9.9.in-addr.arpa", "PTR"), ("web", "PTR"), (".", "NS")],
)
def test_what_others_have_to_be_asked_for(name: str, kind: str) -> None:
    assert own(name, kind) is None


@pytest.mark.parametrize(
    ("name", "kind", "word"), [("other", "A", True), ("other.example", "A", False), ("other", "TXT", False)]
)
def test_names_of_one_word(name: str, kind: str, word: bool) -> None:
    query = dns.message.make_query(name, kind)
    assert isinstance(query, dns.message.QueryMessage)
    assert answers.is_word(query) is word


def test_who_answers_first_changes() -> None:
    firsts = {records(own("many"))[0] for _ in range(20)}
    assert len(firsts) > 1


@pytest.mark.parametrize(("edns", "most"), [(None, 512), (1232, 1232), (100, 512)])
def test_what_does_not_fit_is_cut_and_said_to_be(edns: int | None, most: int) -> None:
    query = dns.message.make_query("many", "A", use_edns=None if edns is None else 0, payload=edns)
    assert isinstance(query, dns.message.QueryMessage)
    found = answers.own(query, KNOWN)
    assert found is not None
    wire = answers.packed(found, answers.room(query, tcp=False))
    assert most - 32 < len(wire) <= most
    parsed = dns.message.from_wire(wire)
    assert parsed.flags & dns.flags.TC
    assert len(parsed.answer[0]) > 20


def test_over_tcp_everything_fits() -> None:
    query = dns.message.make_query("many", "A")
    assert isinstance(query, dns.message.QueryMessage)
    found = answers.own(query, KNOWN)
    assert found is not None
    parsed = dns.message.from_wire(answers.packed(found, answers.room(query, tcp=True)))
    assert (len(parsed.answer[0]), parsed.flags & dns.flags.TC) == (200, 0)


def test_what_is_no_query() -> None:
    query = dns.message.make_query("web", "A")
    assert isinstance(answers.parse(query.to_wire()), dns.message.QueryMessage)
    assert answers.parse(b"short") is None
    assert answers.parse(dns.message.make_response(query).to_wire()) is None
    refused = {bytes(12): dns.rcode.FORMERR, query.to_wire() + b"x": dns.rcode.FORMERR}
    query.set_opcode(dns.opcode.STATUS)
    for wire, code in {**refused, query.to_wire(): dns.rcode.NOTIMP}.items():
        answer = answers.parse(wire)
        assert isinstance(answer, bytes)
        assert dns.message.from_wire(answer).rcode() == code
        assert answer[:2] == wire[:2]


def test_the_name_of_an_address_of_version_6() -> None:
    reverse = dns.reversename.from_address("fd00::2").to_text()
    assert records(own(reverse, "PTR")) == ["web."]


@given(st.binary(max_size=64), st.sampled_from([b"", dns.message.make_query("web", "A").to_wire()]))
def test_no_bytes_do_harm(noise: bytes, before: bytes) -> None:
    wire = before[: len(before) - len(noise)] + noise
    found = answers.parse(wire)
    if isinstance(found, bytes):
        assert found[:2] == wire[:2]
    elif found is not None:
        own = answers.own(found, KNOWN)
        answers.packed(own or answers.failure(found), answers.room(found, tcp=False))
