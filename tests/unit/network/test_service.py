"""The resolver's service on loopback sockets, with servers of this test's to pass queries on to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from dockmagic.network import forwarding, service
from dockmagic.network.answers import Address, Neighbours
from dockmagic.network.service import Service
from dockmagic.runtime.resolv_conf import Upstream
from tests.nameserver import NameServer
from tests.unit.network.neighbours import Known

KNOWN = Known({"web": ["172.18.0.2"], "many": [f"172.18.1.{number}" for number in range(200)]})
Ask = Callable[..., dns.message.Message]


def open_socket(_: Upstream, kind: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setblocking(False)
    return made


@contextmanager
def served(*servers: Upstream, dotted: bool = False, known: Neighbours = KNOWN) -> Iterator[Ask]:
    """Serve in a thread; asks over UDP, or over TCP with `tcp`."""
    udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
    udp.bind(("127.0.0.1", 0))
    port = udp.getsockname()[1]
    tcp.bind(("127.0.0.1", port))
    tcp.listen()
    for made in (udp, tcp):
        made.setblocking(False)
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        begun = Service(known, lambda: servers, lambda: dotted, open_socket)
        await begun.begin(udp, tcp)
        await stop.wait()
        begun.end()
        await asyncio.sleep(0)

    def ask(name: str, kind: str = "A", *, tcp: bool = False, payload: int | None = None) -> dns.message.Message:
        query = dns.message.make_query(name, kind, use_edns=None if payload is None else 0, payload=payload)
        return (dns.query.tcp if tcp else dns.query.udp)(query, "127.0.0.1", port=port, timeout=10)

    thread = Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield ask
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def texts(found: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in found.answer for record in rrset]


@pytest.fixture
def upstream() -> Iterator[NameServer]:
    with NameServer({"example.org.": ["192.0.2.80"], "large.example.": [f"192.0.2.{n}" for n in range(150)]}) as server:
        yield server


@pytest.mark.parametrize("tcp", [False, True])
def test_neighbours_and_others(upstream: NameServer, tcp: bool) -> None:
    with served(upstream.address) as ask:
        assert texts(ask("web", tcp=tcp)) == ["172.18.0.2"]
        assert texts(ask("example.org", tcp=tcp)) == ["192.0.2.80"]
        assert ask("nobody.example", tcp=tcp).rcode() == dns.rcode.NXDOMAIN
    assert upstream.asked == [("example.org.", "A", tcp), ("nobody.example.", "A", tcp)]


def test_large_answers_of_both_are_told_to_be_asked_for_over_tcp(upstream: NameServer) -> None:
    with served(upstream.address) as ask:
        for name, count in (("many", 200), ("large.example", 150)):
            assert ask(name).flags & dns.flags.TC
            assert len(texts(ask(name, tcp=True))) == count


def test_what_a_client_can_take_reaches_the_server(upstream: NameServer) -> None:
    with served(upstream.address) as ask:
        assert len(texts(ask("large.example", payload=4096))) == 150


def test_the_next_server_is_asked_where_one_fails_or_is_silent(
    upstream: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "TIMEOUT_S", 1.0)
    with NameServer({}, code=dns.rcode.REFUSED) as refusing, NameServer({}, silent=True) as silent:
        with served(refusing.address, silent.address, upstream.address) as ask:
            assert texts(ask("example.org")) == ["192.0.2.80"]
        assert [len(server.asked) for server in (refusing, silent)] == [1, 1]
    with served(silent.address) as ask:  # nobody listens there any more
        assert ask("example.org").rcode() == dns.rcode.SERVFAIL
    with served() as ask:
        assert ask("example.org").rcode() == dns.rcode.SERVFAIL


def test_a_forged_answer_is_left_alone(upstream: NameServer) -> None:
    upstream.forge = True
    with served(upstream.address) as ask:
        assert texts(ask("example.org")) == ["192.0.2.80"]


def test_numbers_of_queries_are_not_those_of_the_client(upstream: NameServer) -> None:
    with served(upstream.address) as ask:
        for _ in range(8):
            ask("example.org")
    assert len(set(upstream.numbers)) > 1
    assert len(set(upstream.ports)) > 1


def test_a_word_that_is_for_the_search_list_goes_nowhere(upstream: NameServer) -> None:
    with served(upstream.address, dotted=True) as ask:
        assert (ask("word").rcode(), texts(ask("word"))) == (dns.rcode.NOERROR, [])
        assert texts(ask("example.org")) == ["192.0.2.80"]
    assert [name for name, _, _ in upstream.asked] == ["example.org."]


class Lost(Known):
    """Neighbours of whom nothing can be read."""

    def addresses(self, name: str) -> Sequence[Address]:
        raise OSError(name)


def test_a_database_that_cannot_be_read_is_a_failure(upstream: NameServer) -> None:
    with served(upstream.address, known=Lost({})) as ask:
        assert ask("example.org").rcode() == dns.rcode.SERVFAIL
    assert upstream.asked == []


def test_there_is_an_end_to_queries_at_once(upstream: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_AT_ONCE", 0)
    with served(upstream.address) as ask:
        assert ask("web").rcode() == dns.rcode.REFUSED
        with pytest.raises((EOFError, OSError)):
            ask("web", tcp=True)
