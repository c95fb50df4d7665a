"""A small web server in this process that answers as it is told: for what a good registry never does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from dockmagic.oci.descriptor import OCI_MANIFEST
from dockmagic.oci.digest import Digest


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None  # what Content-Length claims, where it isn't the truth


Answerer = Callable[[Request], Reply]


class _Server(ThreadingHTTPServer):
    """Doesn't tell of clients that hang up."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class FakeServer:
    """`routes` by path; `requests` has what came, in order."""

    def __init__(self) -> None:
        self.routes: dict[str, Reply | Answerer] = {}
        self.default: Reply | Answerer = Reply(404)  # for an unknown path
        self.requests: list[Request] = []
        self.keep_open = False  # whether a connection stays open after the answer
        self.stopping = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = Request(self.command, parts.path, parse_qs(parts.query), dict(self.headers), body)
                fake.requests.append(request)
                route = fake.routes.get(parts.path, fake.default)
                reply = route if isinstance(route, Reply) else route(request)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else reply.body)
                if fake.keep_open:
                    self.wfile.flush()
                    fake.stopping.wait()

            def do_POST(self) -> None:
                self.do_GET()

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_PUT(self) -> None:
                self.do_GET()

            def do_PATCH(self) -> None:
                self.do_GET()

            def do_DELETE(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def add_manifest(self, repository: str, tag: str, data: bytes, media_type: str = OCI_MANIFEST) -> Digest:
        """Serve a manifest under its tag and its digest."""
        digest = Digest.of(data)
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digest}
        for name in (tag, digest):
            self.routes[f"/v2/{repository}/manifests/{name}"] = Reply(200, data, headers)
        return digest

    def add_blob(self, repository: str, data: bytes) -> Digest:
        """Serve a blob under its digest."""
        digest = Digest.of(data)
        self.routes[f"/v2/{repository}/blobs/{digest}"] = Reply(200, data)
        return digest

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def serving() -> Iterator[FakeServer]:
    """A server that runs inside the `with`."""
    server = FakeServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def nobody_listens() -> Iterator[str]:
    """Address of a port of this machine that refuses connections."""
    with serving() as server:
        host = server.host
    yield host
