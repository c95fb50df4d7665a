"""Queries that are passed on to the host's servers, and their answers; as they came, but for the number.

Source: RFC 1035 section 4.2, RFC 5452 (numbers and ports that can't be guessed), RFC 7766 (TCP).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Iterable
from typing import Final

import dns.exception
import dns.message
import dns.rcode

from dockmagic.network.answers import MOST_BYTES
from dockmagic.runtime.resolv_conf import Upstream

TIMEOUT_S: Final = 4.0
MOST_SERVERS: Final = 3
OpenSocket = Callable[[Upstream, int], socket.socket]
"""Makes a socket of a type in the network from which the server is reached, one that doesn't block; raises OSError."""


async def forward(
    query: dns.message.Message, wire: bytes, servers: Iterable[Upstream], open_socket: OpenSocket, *, tcp: bool
) -> bytes | None:
    """The first answer of a server that has one, in order; None where none has.

    A server that fails or refuses leaves it to the next one.
    """
    ask = _over_tcp if tcp else _over_udp
    for server in list(servers)[:MOST_SERVERS]:
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                found = await ask(query, wire, server, open_socket)
            if found[3] & 0xF not in (dns.rcode.SERVFAIL, dns.rcode.REFUSED):
                return found
    return None


async def _over_udp(query: dns.message.Message, wire: bytes, server: Upstream, open_socket: OpenSocket) -> bytes:
    """The server's answer; datagrams that aren't one are left alone. Raises OSError."""
    loop, number = asyncio.get_running_loop(), secrets.token_bytes(2)
    with open_socket(server, socket.SOCK_DGRAM) as connection:
        await loop.sock_connect(connection, (server.address, server.port))
        await loop.sock_sendall(connection, number + wire[2:])
        while True:
            answer = await loop.sock_recv(connection, MOST_BYTES)
            if _answers(query, number, answer):
                return wire[:2] + answer[2:]


async def _over_tcp(query: dns.message.Message, wire: bytes, server: Upstream, open_socket: OpenSocket) -> bytes:
    """The server's answer; raises OSError, EOFError where there is none."""
    loop, number = asyncio.get_running_loop(), secrets.token_bytes(2)
    with open_socket(server, socket.SOCK_STREAM) as connection:
        await loop.sock_connect(connection, (server.address, server.port))
        await loop.sock_sendall(connection, len(wire).to_bytes(2) + number + wire[2:])
        length = int.from_bytes(await _exactly(connection, 2))
        answer = await _exactly(connection, length)
        if not _answers(query, number, answer):
            raise EOFError
        return wire[:2] + answer[2:]


async def _exactly(connection: socket.socket, length: int) -> bytes:
    """So many bytes; raises EOFError where the connection ends before."""
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < length:
        more = await loop.sock_recv(connection, length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _answers(query: dns.message.Message, number: bytes, answer: bytes) -> bool:
    """Whether these bytes are an answer to the query, sent with this number."""
    if answer[:2] != number:
        return False
    try:
        parsed = dns.message.from_wire(answer, ignore_trailing=True, raise_on_truncation=False)
    except dns.exception.DNSException:
        return False
    parsed.id = query.id
    return query.is_response(parsed)
