"""Pooled connections that another thread can break off, so that nobody waits for a server that has gone silent.

With `transport` the only module that knows requests and urllib3. Sources: urllib3's reference, "Connection Pools";
RFC 9112 section 8 (incomplete messages).
"""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress
from typing import Any, BinaryIO, Final
from weakref import WeakSet

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

POOL_SIZE: Final = 8  # connections to one host that are kept for the next request
_SEND_S: Final = 60.0  # for a piece of a request's body; connecting has another limit
_BUFFER: Final = 1 << 20  # bytes that the kernel may hold for us: fewer turns for large blobs


class Sockets:
    """The sockets that are open now; any thread may call any method."""

    def __init__(self) -> None:
        self._open: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()

    def add(self, sock: socket.socket) -> None:
        """Note a socket; it is forgotten when it is collected."""
        with self._lock:
            self._open.add(sock)

    def break_off(self) -> None:
        """Shut them all down: whoever reads or writes gets an error at once."""
        with self._lock:
            sockets = list(self._open)
        for sock in sockets:
            with suppress(OSError):  # closed already
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # beneath TLS, whose state is the other thread's


class Adapter(HTTPAdapter):
    """Gives requests connections whose sockets are noted. It doesn't retry: its caller knows what may be repeated."""

    def __init__(self, sockets: Sockets) -> None:
        self._pools = _pools(sockets)
        super().__init__(pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """Make the manager of direct connections."""
        super().init_poolmanager(connections, maxsize, block, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The manager of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


class _Response(http.client.HTTPResponse):
    """A response whose headers are there to the last, and agree: http.client takes those that break off for whole."""

    fp: Any

    def begin(self) -> None:
        """Read status and headers; raises RemoteDisconnected for half of them, HTTPException for two lengths."""
        lines = _Lines(self.fp)
        self.fp = lines
        try:
            super().begin()
        finally:
            if self.fp is lines:
                self.fp = lines.file
        if lines.last not in (b"\r\n", b"\n"):
            raise http.client.RemoteDisconnected("it ended within the headers")
        lengths = ",".join(self.headers.get_all("Content-Length", [])).replace(" ", "").split(",")
        if len(set(lengths)) > 1:
            raise http.client.HTTPException("it has more than one length")


class _Lines:
    """A file that is read line by line, and knows the last one."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.last = b""

    def readline(self, limit: int) -> bytes:
        """The next line, or as much of it as is allowed."""
        self.last = self.file.readline(limit)
        return self.last

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _pools(sockets: Sockets) -> dict[str, type[HTTPConnectionPool]]:
    """Classes of connection pools by scheme, whose connections note their sockets."""

    class Plain(HTTPConnection):
        response_class = _Response

        def connect(self) -> None:
            super().connect()
            _note(self.sock, sockets)

    class Secure(HTTPSConnection):
        response_class = _Response

        def connect(self) -> None:
            super().connect()
            _note(self.sock, sockets)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

        def _validate_conn(self, conn: Any) -> None:
            """Connect; without urllib3's warning, since who isn't verified was declared insecure by the user."""
            if conn.is_closed:
                conn.connect()

    return {"http": PlainPool, "https": SecurePool}


def _note(sock: socket.socket | None, sockets: Sockets) -> None:
    """Take a new connection's socket in."""
    if sock is not None:
        sock.settimeout(_SEND_S)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sockets.add(sock)
