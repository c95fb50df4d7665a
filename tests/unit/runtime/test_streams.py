from __future__ import annotations

import contextlib
import json
import os
import select
import selectors
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.runtime.stdio import Log, Output, Sink
from dockmagic.runtime.streams import Feed, Stdio, Streams, of_terminal
from dockmagic.runtime.terminal import Pair


class Moving:
    """Streams and the loop that moves them."""

    def __init__(self) -> None:
        self.selector = selectors.PollSelector()
        self.streams = Streams(self.selector)

    def settle(self) -> None:
        """Answer events until nothing is left to do now."""
        for _ in range(1000):
            events = self.selector.select(0)
            if not events:
                return
            for key, _ in events:
                key.data()
        raise AssertionError("it goes round and round")


@pytest.fixture
def moving() -> Iterator[Moving]:
    found = Moving()
    yield found
    found.selector.close()


def terminal(log: Log | None = None) -> tuple[Stdio, int]:
    """Streams of a terminal, and a slave as a process has it."""
    master, slave = os.openpty()
    os.set_blocking(master, False)
    return of_terminal(Pair(master, slave), {}, log), os.dup(slave)


def fill(moving: Moving, writer: int) -> int:
    """Write until nothing more is taken; how much was, in bytes."""
    os.set_blocking(writer, False)
    written = 0
    with contextlib.suppress(BlockingIOError):
        while written < 1 << 20:
            written += os.write(writer, b"x\n" * 32768)
            moving.settle()
    return written


def test_input_of_several_writers_arrives_and_ends_with_the_first(moving: Moving) -> None:
    (end, ours), (one, writer), (two, other) = os.pipe(), os.pipe(), os.pipe()
    feed = Feed(ours, once=True)
    feed.sources.append(one)
    stdio = Stdio([], feed)
    moving.streams.begin(stdio)
    moving.streams.attach(stdio, {"stdin": two})
    os.write(other, b"b")
    moving.settle()
    os.write(writer, b"a")
    os.close(writer)
    moving.settle()
    assert (os.read(end, 9), os.read(end, 9), stdio.feed) == (b"ba", b"", None)
    with pytest.raises(BrokenPipeError):
        os.write(other, b"late")
    os.close(end)
    os.close(other)


def test_who_leaves_ends_nothing(moving: Moving) -> None:
    (end, ours), (one, writer) = os.pipe(), os.pipe()
    feed = Feed(ours, once=True)
    feed.sources.append(one)
    stdio = Stdio([], feed)
    moving.streams.begin(stdio)
    feed.keep()
    os.close(writer)
    moving.settle()
    assert not select.select([end], [], [], 0)[0]
    moving.streams.end(stdio)
    assert os.read(end, 1) == b""
    os.close(end)


def test_a_process_that_never_reads_stops_its_writers_only(moving: Moving) -> None:
    (end, ours), (one, writer) = os.pipe(), os.pipe()
    feed = Feed(ours, once=True)
    feed.sources.append(one)
    stdio = Stdio([], feed)
    moving.streams.begin(stdio)
    assert fill(moving, writer) <= 4 * 65536
    moving.streams.end(stdio)
    os.close(end)
    os.close(writer)


def test_a_terminal_reaches_all_who_are_attached_and_the_log(moving: Moving, tmp_path: Path) -> None:
    stdio, slave = terminal(Log(str(tmp_path / "log")))
    moving.streams.begin(stdio)
    os.write(slave, b"one\n")
    moving.settle()
    reader, end = os.pipe()
    moving.streams.attach(stdio, {"stdout": end, "stderr": os.dup(slave)})
    os.write(slave, b"\x1b]0;\n")
    moving.settle()
    os.close(slave)
    os.write(stdio.pair.slave if stdio.pair else -1, b"end")
    assert moving.streams.reading(stdio)
    moving.streams.end(stdio)
    assert not moving.streams.reading(stdio)
    assert os.read(reader, 99) == b"\x1b]0;\r\nend"
    assert os.read(reader, 99) == b""
    os.close(reader)
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["log"] for line in lines] == ["one\r\n", "\x1b]0;\r\n", "end"]
    assert "\x1b" not in "".join(lines)


def test_a_terminal_survives_that_nobody_has_it_open(moving: Moving) -> None:
    stdio, slave = terminal()
    moving.streams.begin(stdio)
    os.close(slave)
    moving.settle()
    assert moving.streams.reading(stdio)
    moving.streams.end(stdio)


def test_a_terminal_that_others_keep_open_ends_all_the_same(moving: Moving) -> None:
    stdio, slave = terminal()
    moving.streams.begin(stdio)
    moving.streams.end(stdio)
    assert not moving.streams.reading(stdio)
    with pytest.raises(OSError, match="Input/output error"):
        os.write(slave, b"x")
    os.close(slave)


def test_a_full_terminal_stops_its_writers_only(moving: Moving) -> None:
    stdio, slave = terminal()
    source, writer = os.pipe()
    moving.streams.begin(stdio)
    moving.streams.attach(stdio, {"stdin": source})
    assert fill(moving, writer) < 1 << 20
    moving.streams.end(stdio)
    os.close(writer)
    os.close(slave)


def test_a_slow_reader_gets_all_in_the_end(moving: Moving) -> None:
    source, end = os.pipe()
    reader, sink = os.pipe()
    stdio = Stdio([Output("stdout", source, None, [Sink(sink)])])
    moving.streams.begin(stdio)
    for _ in range(8):
        os.write(end, bytes(65536))
        moving.settle()
    os.close(end)
    moving.settle()
    read = 0
    while data := os.read(reader, 65536):
        read += len(data)
        moving.settle()
    assert read == 8 * 65536
    os.close(reader)
