"""One connection to a registry: requests come off it, answers go onto it. Source: RFC 9112.

Whatever happens to a request, its answer is whole or its connection is closed, and one RegistryRequest tells of it.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Final, cast
from urllib.parse import parse_qs

from dockmagic.errors import DockmagicError
from dockmagic.events import OnEvent, RegistryRequest
from dockmagic.registry.access import Users, credentials
from dockmagic.registry.api import Api
from dockmagic.registry.body import Body, BrokenOff
from dockmagic.registry.faults import Fault
from dockmagic.registry.messages import Answer, Part, Request, refusal
from dockmagic.registry.routes import route_of

IDLE_S: Final = 60.0
_CHALLENGE: Final = (("WWW-Authenticate", 'Basic realm="dockmagic registry", charset="UTF-8"'),)
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Site:
    """What all connections of a server share."""

    api: Api
    users: Users | None
    on_event: OnEvent


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    server_version = "dockmagic"
    sys_version = ""
    timeout = IDLE_S
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: what is asked is told as an event."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what isn't HTTP, or no method that is known."""
        status = HTTPStatus(code)
        self.close_connection = True
        self.request_version = self.protocol_version  # else the base class takes the client for one of 1991
        self._send(refusal(Fault("UNSUPPORTED", message or status.phrase, status=status)))

    def _serve(self) -> None:
        """Answer one request, and tell of it."""
        began_s = time.monotonic()
        body: Body | None = None
        sent, answer, fault = 0, None, None
        try:
            try:
                body = Body(self.rfile, cast("Mapping[str, str]", self.headers))
                answer = self._answer(body)
            except Fault as refused:
                fault, answer = refused, refusal(refused)
            self.close_connection |= body is None or not body.drain()
            sent = self._send(answer)
        except OSError:  # the connection's: nobody is there to be told
            self.close_connection = True
        finally:
            received = body.received if body is not None else 0
            self._tell(answer, fault, received, sent, time.monotonic() - began_s)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  (the base class looks for them)

    def _answer(self, body: Body) -> Answer:
        """What the API answers; raises Fault for all that goes wrong but a broken connection."""
        path, _, query = self.path.partition("?")
        if self.server_site.users is not None:
            self._authorize(self.server_site.users)
        request = Request(self.command, route_of(path), parse_qs(query), body.headers, body)
        try:
            return self.server_site.api.answer(request)
        except FileNotFoundError as error:  # taken away at this moment
            raise Fault("UNKNOWN", "it was removed meanwhile", status=HTTPStatus.NOT_FOUND) from error
        except DockmagicError as error:
            raise Fault("UNKNOWN", str(error)) from error
        except OSError as error:
            if isinstance(error, ConnectionError | TimeoutError):
                raise
            status = HTTPStatus.INSUFFICIENT_STORAGE if error.errno in _FULL else None
            raise Fault("UNKNOWN", f"the registry can't do it: {error.strerror}", status=status) from error

    def _authorize(self, users: Users) -> None:
        """Raise Fault unless a user asks."""
        given = credentials(self.headers.get("Authorization", ""))
        if given is None or not users.knows(*given):
            raise Fault("UNAUTHORIZED", "log in first; the name or the password isn't right", headers=_CHALLENGE)

    def _send(self, answer: Answer) -> int:
        """Send an answer; the bytes of its body that went out."""
        self.send_response(answer.status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status is not HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(answer.length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            self.wfile.flush()
            return 0
        self._send_body(answer.body)
        return answer.length

    def _send_body(self, body: bytes | Part) -> None:
        """Send a body; of a file by way of the kernel."""
        if isinstance(body, bytes):
            self.wfile.write(body)
            self.wfile.flush()
            return
        with body.path.open("rb") as file:
            self.wfile.flush()
            if body.length and self.connection.sendfile(file, body.offset, body.length) != body.length:
                raise BrokenOff(f"{body.path} is shorter than it was")

    def _tell(self, answer: Answer | None, fault: Fault | None, received: int, sent: int, duration_s: float) -> None:
        """Report the request."""
        given = credentials(self.headers.get("Authorization", ""))
        self.server_site.on_event(
            RegistryRequest(
                client=str(self.client_address[0]),
                agent=self.headers.get("User-Agent", ""),
                user=given[0] if given is not None and self.server_site.users is not None else "",
                method=self.command,
                path=self.path,
                status=int(answer.status) if answer is not None else 0,
                received_bytes=received,
                sent_bytes=sent,
                duration_s=duration_s,
                error="" if fault is None else f"{fault.code}: {fault}",
            )
        )

    @property
    def server_site(self) -> Site:
        """What this server's connections share."""
        return cast("Site", getattr(self.server, "site"))  # noqa: B009  (the base class doesn't know of it)
