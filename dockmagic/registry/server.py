"""The registry's server: a thread for each connection, in this process, until it is stopped. On HTTP/1.1, or TLS."""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any, Final

from dockmagic.errors import InvalidOption
from dockmagic.events import Event, OnEvent, RegistryRequest
from dockmagic.registry.access import Users
from dockmagic.registry.api import Api
from dockmagic.registry.handler import IDLE_S, Handler, Site

_REMEMBERED: Final = 1000  # requests
_END_S: Final = 10.0
_POLL_S: Final = 0.1
_ANY: Final = ("0.0.0.0", "::")


class _Server(ThreadingHTTPServer):
    """Knows its connections, so that it can end them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], site: Site, tls: ssl.SSLContext | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.site = site
        self._tls = tls
        self._connections: dict[threading.Thread, socket.socket] = {}
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind, without asking the resolver what this machine is called."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for a connection."""
        if self._tls is not None:
            request.settimeout(IDLE_S)
            request = self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        target = self.process_request_thread
        thread = threading.Thread(target=target, args=(request, client_address), name="registry", daemon=True)
        self._connections[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection; with TLS the handshake comes first."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.pop(threading.current_thread(), None)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer all requests of a connection."""
        if self._tls is not None:
            request.do_handshake()
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke off; what else goes wrong is a mistake of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def end_connections(self) -> None:
        """End every connection, and wait for the threads that served them."""
        for thread, connection in list(self._connections.items()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            if thread is not threading.current_thread():  # that of a hook which stops the server
                thread.join(_END_S)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: port 0 is any free one, "0.0.0.0" and "::" are all addresses of this machine.

    `certificate` and `key` are files in PEM form; the key may be in the certificate's.
    """

    bind: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None


class RegistryServer:
    """A registry that is served; in a `with` it is stopped at the end. Any thread may call any method."""

    def __init__(
        self, api: Api, address: Address, users: Users | None, on_event: OnEvent, on_stop: Callable[[], None]
    ) -> None:
        """Listens at once; calls `on_stop` when it has stopped. Raises InvalidOption for an address it can't have."""
        self._followers: list[queue.SimpleQueue[RegistryRequest | None]] = []
        self._requests: deque[RegistryRequest] = deque(maxlen=_REMEMBERED)
        self._on_event = on_event
        self._on_stop = on_stop
        self._lock = threading.Lock()
        self._scheme = "http" if address.certificate is None else "https"
        self._bind = address.bind
        self.stopped = False
        self.warning = _warning(address, users)
        self._server = _listen(address, Site(api, users, self._note))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="registry", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        """HOST:PORT, as it stands before a repository's name; for all addresses, one that others may know."""
        name = _reachable(":" in self._bind) if self._bind in _ANY else self._bind
        return f"[{name}]:{self.port}" if ":" in name else f"{name}:{self.port}"

    @property
    def url(self) -> str:
        """Where it is on the web."""
        return f"{self._scheme}://{self.host}"

    @property
    def requests(self) -> tuple[RegistryRequest, ...]:
        """The last requests, oldest first; at most 1,000."""
        return tuple(self._requests)

    def follow(self) -> Iterator[RegistryRequest]:
        """Requests from now on, as they are answered, until the server stops."""
        waiting: queue.SimpleQueue[RegistryRequest | None] = queue.SimpleQueue()
        with self._lock:
            if self.stopped:
                return iter(())
            self._followers = [*self._followers, waiting]
        return self._following(waiting)

    def stop(self) -> None:
        """End it: connections are cut, threads gone, uploads given up. Idempotent."""
        with self._lock:
            if self.stopped:
                return
            self.stopped = True
            followers = self._followers
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.end_connections()
        for follower in followers:
            follower.put(None)
        self._on_stop()

    def __enter__(self) -> RegistryServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _following(self, waiting: queue.SimpleQueue[RegistryRequest | None]) -> Iterator[RegistryRequest]:
        """What comes into a queue, until it ends."""
        try:
            while (request := waiting.get()) is not None:
                yield request
        finally:
            with self._lock:
                self._followers = [other for other in self._followers if other is not waiting]

    def _note(self, event: Event) -> None:
        """Pass an event on to all who want to know."""
        assert isinstance(event, RegistryRequest)
        self._requests.append(event)
        for follower in self._followers:
            follower.put(event)
        self._on_event(event)


def _listen(address: Address, site: Site) -> _Server:
    """A server that listens; raises InvalidOption."""
    tls = _tls(address)
    try:
        return _Server((address.bind, address.port), site, tls)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there are ports from 0 to 65535"
        raise InvalidOption(f"can't listen on {address.bind}, port {address.port}: {reason}; choose another") from error


def _tls(address: Address) -> ssl.SSLContext | None:
    """What is needed to speak TLS; None without a certificate. Raises InvalidOption."""
    if address.certificate is None:
        if address.key is not None:
            raise InvalidOption("a key is of no use without its certificate; name that too")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(address.certificate, address.key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise InvalidOption(f"can't use the certificate {address.certificate} and its key: {error}") from error
    return context


def _warning(address: Address, users: Users | None) -> str:
    """What somebody ought to know who serves this address; "" where nothing is wrong with it."""
    if _is_loopback(address.bind):
        return ""
    if users is None:
        return "anybody who can reach this machine can use this registry; name users, or listen on 127.0.0.1 only"
    if address.certificate is None:
        return "passwords go over the network as plain text; name a certificate, or listen on 127.0.0.1 only"
    return ""


def _is_loopback(bind: str) -> bool:
    try:
        return bind == "localhost" or ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return False


def _reachable(version_6: bool) -> str:
    """An address of this machine that others can reach, where it has one; nothing is sent to find it."""
    somewhere = "2001:db8::1" if version_6 else "192.0.2.1"  # they stand for any: RFC 3849, RFC 5737
    with socket.socket(socket.AF_INET6 if version_6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((somewhere, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "::1" if version_6 else "127.0.0.1"
