"""The socket in front of an agent, with an agent that a thread plays."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dockmagic.builder.attributes import Owner
from dockmagic.builder.forwarding import connect, forwarded
from dockmagic.errors import BuildError

LIST, SIGN, ADD, REMOVE_ALL = b"\x0b", b"\x0d", b"\x11", b"\x13"
ANYBODY = Owner(65534, 65534)
Heard = list[bytes]


def framed(body: bytes) -> bytes:
    return struct.pack("!I", len(body)) + body


def answer(connection: socket.socket) -> bytes:
    """The body of the next message, b"" at the end."""
    with connection.makefile("rb") as file:
        head = file.read(4)
        return file.read(struct.unpack("!I", head)[0]) if head else b""


@contextmanager
def played(path: Path, *, silent: bool = False) -> Iterator[Heard]:
    """An agent that repeats what it hears, or never says anything."""
    heard: Heard = []

    def serve(client: socket.socket) -> None:
        with client:
            while body := answer(client):
                heard.append(body)
                if not silent:
                    client.sendall(framed(b"re:" + body))

    def accept() -> None:
        threads = []
        while not done.is_set():
            client, _ = listener.accept()
            threads.append(threading.Thread(target=serve, args=(client,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    done = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield heard
        finally:
            done.set()
            connect(path).close()
            accepting.join()


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose sockets have addresses of an ordinary length."""
    return tmp_path_factory.mktemp("s")


def test_keys_are_listed_and_used_at_the_same_time(short: Path, tmp_path: Path) -> None:
    place = tmp_path / ("long" * 40) / "p"
    place.parent.mkdir()
    with played(short / "agent") as heard, forwarded(short / "agent", place, Owner(), 0o600):
        with connect(place) as one, connect(place) as two:
            for each in (one, two, one):
                each.sendall(framed(LIST))
                assert answer(each) == b"re:" + LIST
            large = SIGN + bytes(100_000)
            two.sendall(framed(large))
            assert answer(two) == b"re:" + large
    assert heard == [LIST, LIST, LIST, large]
    with pytest.raises(OSError, match="refused"):
        connect(place)


def test_nothing_changes_the_agent(short: Path) -> None:
    with played(short / "agent") as heard, forwarded(short / "agent", short / "p", Owner(), 0o600):
        with connect(short / "p") as client:
            for body in (ADD, REMOVE_ALL, b"", b"\x1b extension"):
                client.sendall(framed(body))
                assert answer(client) == b"\x05"
            client.sendall(framed(LIST))
            assert answer(client) == b"re:" + LIST
    assert heard == [LIST]


def test_a_message_that_is_too_long_ends_the_connection(short: Path) -> None:
    with played(short / "agent") as heard, forwarded(short / "agent", short / "p", Owner(), 0o600):
        with connect(short / "p") as client:
            client.sendall(struct.pack("!I", (256 << 10) + 1))
            assert answer(client) == b""
    assert heard == []


def test_the_end_waits_for_nobody(short: Path) -> None:
    with played(short / "agent", silent=True) as heard:
        with forwarded(short / "agent", short / "p", Owner(), 0o600):
            asking, idle = connect(short / "p"), connect(short / "p")
            asking.sendall(framed(LIST))
            while not heard:
                pass
        with asking, idle:
            assert (answer(asking), answer(idle)) == (b"", b"")


def test_owner_and_mode(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owners = []
    monkeypatch.setattr("os.chown", lambda path, uid, gid: owners.append((path, uid, gid)))
    with played(short / "agent"), forwarded(short / "agent", short / "p", ANYBODY, 0o620):
        assert (short / "p").stat().st_mode & 0o777 == 0o620
    assert owners == [(short / "p", 65534, 65534)]


def test_an_agent_that_has_gone(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(short / "agent"))
    with pytest.raises(BuildError, match=r"can't connect to the SSH agent at .*: Connection refused; is it running"):
        with forwarded(short / "agent", short / "p", Owner(), 0o600):
            pass
