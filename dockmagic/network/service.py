"""One container's part of the resolver: its sockets, and the way of each query. Source: RFC 1035, RFC 7766."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, cast

import dns.message
import dns.rcode

from dockmagic.network import answers
from dockmagic.network.answers import Neighbours
from dockmagic.network.forwarding import OpenSocket, forward
from dockmagic.runtime.resolv_conf import Upstream

MOST_AT_ONCE: Final = 256
IDLE_S: Final = 10.0


class Service:
    """Answers one container's queries, from what its neighbours are called or from the servers it may ask.

    `servers` gives those, best first, none where nothing may leave the container's networks; `dotted` tells whether
    names of one word are for the search list only. Both are asked for each query, and may raise OSError.
    """

    def __init__(
        self,
        neighbours: Neighbours,
        servers: Callable[[], tuple[Upstream, ...]],
        dotted: Callable[[], bool],
        open_socket: OpenSocket,
    ) -> None:
        self._neighbours = neighbours
        self._servers = servers
        self._dotted = dotted
        self._open_socket = open_socket
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    async def begin(self, udp: socket.socket, tcp: socket.socket) -> None:
        """Serve on these sockets, which are this object's from now on."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._on_datagram), sock=udp)
        self._server = await asyncio.start_server(self._on_connection, sock=tcp)

    def end(self) -> None:
        """Close all sockets, and leave what is under way."""
        if self._transport is not None:
            self._transport.abort()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    async def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """The answer to a query; None where this is none."""
        query = answers.parse(wire)
        if query is None or isinstance(query, bytes):
            return query
        most = answers.room(query, tcp=tcp)
        with contextlib.suppress(OSError):
            found = self._known(query)
            if found is not None:
                return answers.packed(found, most)
            passed = await forward(query, wire, self._servers(), self._open_socket, tcp=tcp)
            if passed is not None:
                return passed
        return answers.packed(answers.failure(query), most)

    def _known(self, query: dns.message.QueryMessage) -> dns.message.Message | None:
        """The answer for which nobody has to be asked; raises OSError."""
        found = answers.own(query, self._neighbours)
        if found is None and answers.is_word(query) and self._dotted():
            return answers.nothing(query)
        return found

    def _on_datagram(self, wire: bytes, sender: tuple[str, int]) -> None:
        """Answer in a task, or at once that there are too many."""
        transport = self._transport
        assert transport is not None
        if len(self._tasks) >= MOST_AT_ONCE:
            if len(wire) >= answers.HEADER_BYTES:
                transport.sendto(answers.refusal(wire, dns.rcode.REFUSED), sender)
            return

        async def reply() -> None:
            found = await self.answer(wire, tcp=False)
            if found is not None and not transport.is_closing():
                transport.sendto(found, sender)

        self._keep(asyncio.get_running_loop().create_task(reply()))

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one query after the other, until the client is silent or gone."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        with contextlib.closing(writer):
            if len(self._tasks) < MOST_AT_ONCE:
                self._keep(task)
                with contextlib.suppress(OSError, EOFError, TimeoutError):
                    await self._talk(reader, writer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_S):
                wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            found = await self.answer(wire, tcp=True)
            if found is None:
                return
            writer.write(len(found).to_bytes(2) + found)
            async with asyncio.timeout(IDLE_S):
                await writer.drain()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Datagrams(asyncio.DatagramProtocol):
    """Hands datagrams over."""

    def __init__(self, receive: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A datagram and who sent it."""
        self._receive(data, addr)
