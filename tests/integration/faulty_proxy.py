"""A proxy in front of a registry that spoils what it is told to: bytes, lengths, headers, connections.

It passes everything on unless a rule says else. Rules are asked in the order in which they were made; the first that
fits a request has the whole say over how its answer goes out. Connections are kept alive where nothing breaks them.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_DROPPED = ("connection", "date", "transfer-encoding")


@dataclass(frozen=True)
class Request:
    """What a client sent; names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What the registry said, or what is said in its place; the headers are all that go out."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def wearing(self, **headers: str | None) -> Answer:
        """With these headers, `_` for `-`; without those that are None."""
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in map(str.lower, changed)}
        return replace(self, headers=kept | {name: value for name, value in changed.items() if value is not None})

    def holding(self, body: bytes) -> Answer:
        """With another body, and its length."""
        return replace(self, body=body).wearing(Content_Length=str(len(body)))

    @property
    def head(self) -> bytes:
        """Status line and headers as they go over the wire."""
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in self.headers.items())]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


class Wire:
    """The connection that an answer goes out on."""

    def __init__(self, handler: BaseHTTPRequestHandler, request: Request, stopping: threading.Event) -> None:
        self.request = request
        self._handler = handler
        self._stopping = stopping

    def write(self, data: bytes) -> None:
        """Put bytes on the wire; the client may have gone."""
        with suppress(OSError):
            self._handler.wfile.write(data)
            self._handler.wfile.flush()

    def send(self, answer: Answer) -> None:
        """Put a whole answer on the wire. One that doesn't say where it ends, ends the connection."""
        self.write(answer.head + (b"" if self.request.method == "HEAD" else answer.body))
        length = next((value for name, value in answer.headers.items() if name.lower() == "content-length"), "")
        if not length.isdecimal() or int(length) > len(answer.body):
            self.close()

    def close(self) -> None:
        """End the connection in order."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """End it by a reset: the client may lose what it hasn't read."""
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def pause(self, seconds: float) -> None:
        """Say nothing for a while."""
        self._stopping.wait(seconds)


Fault = Callable[[Wire, Answer], None]


@dataclass
class Rule:
    """What happens to answers to this method and path; `times` says how often it still does, None for ever."""

    method: str
    path: re.Pattern[str]
    fault: Fault
    times: int | None

    def takes(self, request: Request) -> bool:
        """Whether the rule has its say on this request; one that counts, counts."""
        if self.times == 0 or request.method != self.method or not self.path.search(request.path):
            return False
        self.times = None if self.times is None else self.times - 1
        return True


class FaultyProxy:
    """The proxy; `requests` has what came, in order. Any thread may change the rules."""

    def __init__(self, upstream: str, certificate: Path | None = None) -> None:
        self.upstream = upstream
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._scheme = "http" if certificate is None else "https"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def host(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """Base URL."""
        return f"{self._scheme}://{self.host}"

    def on(self, path: str, fault: Fault, times: int | None = None, method: str = "GET") -> None:
        """From now on do this to answers to requests of paths in which the pattern is found."""
        with self._lock:
            self._rules.append(Rule(method, re.compile(path), fault, times))

    def behave(self) -> None:
        """Forget all rules and requests."""
        with self._lock:
            self._rules.clear()
            self.requests.clear()

    def count(self, path: str) -> int:
        """How many requests came for paths in which the pattern is found."""
        return sum(re.search(path, request.path) is not None for request in list(self.requests))

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, handler.path, headers)
        body = handler.rfile.read(int(headers.get("content-length", "0")))
        with self._lock:
            self.requests.append(request)
            rule = next((rule for rule in self._rules if rule.takes(request)), None)
        wire = Wire(handler, request, self.stopping)
        answer = self._ask(request, body)
        wire.send(answer) if rule is None else rule.fault(wire, answer)

    def serve(self) -> None:
        """Answer until `stop`."""
        self._server.serve_forever(poll_interval=0.01)

    def stop(self) -> None:
        """End all of it."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def _ask(self, request: Request, data: bytes) -> Answer:
        """What the registry answers."""
        connection = http.client.HTTPConnection(self.upstream, timeout=20)
        try:
            headers = {name: value for name, value in request.headers.items() if name != "connection"}
            connection.request(request.method, request.path, data or None, headers)
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in _DROPPED}
            try:
                body = response.read()
            except http.client.IncompleteRead as error:  # docker-registry's 416 claims the blob's length
                body = error.partial
            return Answer(response.status, body, kept)
        finally:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with suppress(OSError):  # a client that has gone, or that doesn't like our certificate
                    super().handle()

            def __getattr__(self, name: str) -> Callable[[], None]:
                """What answers a method: the same for all."""
                if not name.startswith("do_"):
                    raise AttributeError(name)
                return lambda: proxy.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@contextmanager
def faulty_proxy(upstream: str, certificate: Path | None = None) -> Iterator[FaultyProxy]:
    """A proxy that runs inside the `with`, in front of HOST:PORT; with a certificate and key (PEM) it speaks TLS."""
    proxy = FaultyProxy(upstream, certificate)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()


def changed(edit: Callable[[Answer], Answer]) -> Fault:
    """The answer is another one."""
    return lambda wire, answer: wire.send(edit(answer))


def instead(status: int = 200, body: bytes = b"", **headers: str) -> Fault:
    """Another answer is given, of the right length."""
    return changed(lambda _: Answer(status, b"", {}).holding(body).wearing(**headers))


def cut(after: int, *, reset: bool = False) -> Fault:
    """The connection ends after this many bytes of the body; with a negative number, of the headers counted back."""

    def fault(wire: Wire, answer: Answer) -> None:
        whole = answer.head + answer.body
        wire.write(whole[: len(answer.head) + after])
        wire.reset() if reset else wire.close()

    return fault


def cut_in_header(name: str) -> Fault:
    """The connection ends within the value of this header."""

    def fault(wire: Wire, answer: Answer) -> None:
        at = answer.head.lower().index(f"\r\n{name}:".encode()) + len(name) + 6
        wire.write(answer.head[:at])
        wire.close()

    return fault


def raw(data: bytes) -> Fault:
    """These bytes, and the connection ends."""

    def fault(wire: Wire, answer: Answer) -> None:
        wire.write(data)
        wire.close()

    return fault


def dripping(size: int, pause_s: float) -> Fault:
    """The answer comes in pieces of this many bytes, with pauses between."""

    def fault(wire: Wire, answer: Answer) -> None:
        whole = answer.head + answer.body
        for start in range(0, len(whole), size):
            wire.write(whole[start : start + size])
            wire.pause(pause_s)

    return fault


def silent(after: int, seconds: float = 2.0) -> Fault:
    """After this many bytes of the body nothing comes any more for a while, though the connection stays."""

    def fault(wire: Wire, answer: Answer) -> None:
        wire.write((answer.head + answer.body)[: len(answer.head) + after])
        wire.pause(seconds)
        wire.close()

    return fault


def chunked(size: int, *, end: bytes = b"0\r\n\r\n") -> Fault:
    """The answer in chunks of this size; `end` is what comes after the last one, before the connection ends."""

    def fault(wire: Wire, answer: Answer) -> None:
        wire.write(answer.wearing(Content_Length=None, Transfer_Encoding="chunked").head)
        for start in range(0, len(answer.body), size):
            piece = answer.body[start : start + size]
            wire.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        wire.write(end)
        wire.close()

    return fault
