from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from dockmagic.errors import RegistryError
from dockmagic.image.connections import Sockets
from dockmagic.image.retry import Timeouts
from dockmagic.image.transport import Transport
from tests.unit.image.fake_server import Reply, serving

OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def saying(data: bytes) -> Iterator[str]:
    """URL of a server that says this to whoever comes, and hangs up."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def answer() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(data)
            except OSError:
                pass

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def transport() -> Iterator[Transport]:
    with closing(Transport(Timeouts(2.0, 5.0))) as transport:
        yield transport


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 20", OK, OK + b"Content-Le", OK + b"Content-Length: 1", OK + b"Content-Length: 10\r\nX: y\r\n"],
)
def test_headers_that_break_off_are_no_headers(transport: Transport, head: bytes) -> None:
    with saying(head) as url, pytest.raises(RegistryError, match=r"broke off|no usable answer") as caught:
        transport.request("GET", url, {})
    assert caught.value.passing


def test_headers_that_are_whole_are_enough(transport: Transport) -> None:
    with saying(OK + b"A: b\n\n") as url, transport.request("GET", url, {}) as answer:
        assert (answer.headers["a"], answer.is_delimited, answer.read(1)) == ("b", False, b"")


@pytest.mark.parametrize(
    ("lines", "is_delimited"),
    [
        (b"Content-Length: 2\r\n", True),
        (b"Content-Length: 2\r\nContent-Length: 2\r\n", True),
        (b"Content-Length: two\r\n", False),
        (b"", False),
    ],
)
def test_whether_the_end_can_be_told(transport: Transport, lines: bytes, is_delimited: bool) -> None:
    with saying(OK + lines + b"\r\nab") as url, transport.request("GET", url, {}) as answer:
        assert answer.read(10) == b"ab"
        assert answer.is_delimited is is_delimited


def test_two_lengths_are_no_answer(transport: Transport) -> None:
    with saying(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc") as url:
        with pytest.raises(RegistryError, match=r"no usable answer \(it has more than one length"):
            transport.request("GET", url, {})


def test_a_connection_is_used_again_after_all_was_read(transport: Transport) -> None:
    """The server takes one connection, and answers two requests on it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                for _ in range(2):
                    connection.recv(65536)
                    connection.sendall(OK + b"Content-Length: 4\r\n\r\nhere")

        thread = threading.Thread(target=answer)
        thread.start()
        for _ in range(2):
            with transport.request("GET", f"http://127.0.0.1:{listener.getsockname()[1]}", {}) as reply:
                assert b"".join(reply.stored_chunks()) == b"here"
        thread.join()


def test_what_is_called_encoded_is_given_as_it_is_stored(transport: Transport) -> None:
    with serving() as server:
        server.routes = {"/a": Reply(200, b"\x1f\x8bstored", {"Content-Encoding": "gzip"})}
        with transport.request("GET", f"{server.url}/a", {}) as answer:
            assert b"".join(answer.stored_chunks()) == b"\x1f\x8bstored"
        with transport.request("GET", f"{server.url}/a", {}) as answer:
            with pytest.raises(RegistryError, match="no usable answer"):
                answer.read(100)


def test_what_came_before_a_break_isn_t_lost(transport: Transport) -> None:
    with saying(OK + b"Content-Length: 10\r\n\r\nabc") as url, transport.request("GET", url, {}) as answer:
        pieces: list[bytes] = []
        with pytest.raises(RegistryError, match="broke off"):
            pieces.extend(answer.stored_chunks())
    assert b"".join(pieces) == b"abc"


def test_sockets_are_broken_off_from_another_thread() -> None:
    sockets = Sockets()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sockets.add(ours)
        threading.Timer(0.05, sockets.break_off).start()
        assert ours.recv(1) == b""
    sockets.break_off()  # those that are closed are no trouble


def test_who_reads_and_who_comes_later(transport: Transport) -> None:
    """The reader fails at once; the next request connects anew."""
    with serving() as server:
        server.keep_open = True
        server.routes = {"/a": Reply(200, b"a", length=10)}
        with transport.request("GET", f"{server.url}/a", {}) as answer:
            threading.Timer(0.1, transport.break_off).start()
            with pytest.raises(RegistryError):
                list(answer.stored_chunks())
        server.keep_open = False
        server.routes = {"/a": Reply(200, b"later")}
        with transport.request("GET", f"{server.url}/a", {}) as answer:
            assert answer.read(10) == b"later"
