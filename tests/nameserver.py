"""A small real name server, over UDP and TCP, for what has to be passed on."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from threading import Thread
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from dockmagic.runtime.resolv_conf import Upstream


class NameServer:
    """Answers from a table of names with their addresses of version 4; a context in which it runs.

    With `code` it has that for everyone, a `silent` one has no answer at all. With `forge` each answer has a wrong one
    before it. `at` is where it listens, port 0 a free one. `asked` are the queries: name, kind, and whether over TCP;
    `numbers` and `ports` those of the queries.
    """

    def __init__(
        self,
        table: Mapping[str, Sequence[str]],
        *,
        code: dns.rcode.Rcode | None = None,
        silent: bool = False,
        at: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self._table, self._code, self._silent = table, code, silent
        self.forge = False
        self.asked: list[tuple[str, str, bool]] = []
        self.numbers: list[int] = []
        self.ports: list[int] = []
        self._udp, self._tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        self._at = at

    def __enter__(self) -> Self:
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._udp.bind(self._at)
        self._tcp.bind(self._udp.getsockname())
        self._tcp.listen()
        self.address = Upstream(self._at[0], on_host=True, port=self._udp.getsockname()[1])
        self._threads = [Thread(target=self._serve_udp), Thread(target=self._serve_tcp)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for made in (self._udp, self._tcp):
            with contextlib.suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self) -> None:
        while True:
            wire, sender = self._udp.recvfrom(65535)
            if not wire:
                return
            answer = self._answer(wire, sender[1], tcp=False)
            if self.forge:
                self._udp.sendto(bytes((answer[0] ^ 1,)) + answer[1:], sender)
            if not self._silent:
                self._udp.sendto(answer, sender)

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, sender = self._tcp.accept()
                with connection, connection.makefile("rb") as file:
                    wire = file.read(int.from_bytes(file.read(2)))
                    answer = self._answer(wire, sender[1], tcp=True)
                    connection.sendall(len(answer).to_bytes(2) + answer)

    def _answer(self, wire: bytes, port: int, *, tcp: bool) -> bytes:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, tcp))
        self.numbers.append(query.id)
        self.ports.append(port)
        response = dns.message.make_response(query, recursion_available=True)
        found = self._table.get(name)
        response.set_rcode(
            self._code if self._code is not None else dns.rcode.NXDOMAIN if found is None else dns.rcode.NOERROR
        )
        if found and kind == "A":
            response.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", "A", found))
        return response.to_wire(max_size=65535 if tcp else max(512, query.payload), prefer_truncation=True)
