from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.runtime import stdio
from dockmagic.runtime.logs import lines as read
from dockmagic.runtime.logs import parse_time
from dockmagic.runtime.stdio import CHUNK, HIGH_WATER, Log, Output, Sink, timestamp


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe; whoever takes one over closes it."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_a_sink_keeps_what_a_slow_reader_can_t_take(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1])
    data = os.urandom(300_000)
    assert sink.write(data)
    assert sink.pending
    taken = b""
    while len(taken) < len(data):
        taken += os.read(pipe[0], CHUNK)
        assert sink.flush()
    assert (taken, bytes(sink.pending)) == (data, b"")


def test_a_sink_notices_that_its_reader_is_gone(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    assert not Sink(pipe[1]).write(b"x")


def output(log: Log | None = None) -> tuple[Output, int]:
    source, end = os.pipe()
    return Output("stdout", source, log, []), end


def test_an_output_goes_to_every_reader_until_it_ends(pipe: tuple[int, int]) -> None:
    out, end = output()
    out.sinks.append(Sink(pipe[1]))
    os.write(end, b"hello")
    assert out.pump()
    os.close(end)
    assert not out.pump()
    out.finish()
    assert os.read(pipe[0], CHUNK) == b"hello"
    assert os.read(pipe[0], CHUNK) == b""


def test_a_reader_that_is_gone_doesn_t_stop_the_others(pipe: tuple[int, int]) -> None:
    out, end = output()
    gone, other = os.pipe()
    out.sinks += [Sink(other), Sink(pipe[1])]
    os.close(gone)
    os.write(end, b"x")
    assert out.pump()
    assert [sink.gone for sink in out.sinks] == [True, False]
    assert os.read(pipe[0], CHUNK) == b"x"
    os.close(end)
    out.pump()
    out.finish()


def test_an_output_is_congested_by_one_reader_far_behind(pipe: tuple[int, int]) -> None:
    out, end = output()
    sink = Sink(pipe[1])
    out.sinks.append(sink)
    sink.pending += b"x" * (HIGH_WATER + 1)
    assert out.congested
    sink.pending.clear()
    os.close(end)
    out.pump()
    out.finish()


def test_the_log_has_an_entry_for_each_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    out, end = output(Log(str(path)))
    for piece in (b"on", b"e\ntwo\nthr", b"ee"):
        os.write(end, piece)
        out.pump()
    os.close(end)
    out.pump()
    out.finish()
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["log"] for entry in entries] == ["one\n", "two\n", "three"]
    assert {entry["stream"] for entry in entries} == {"stdout"}
    assert [line.data for line in read(path)] == [b"one\n", b"two\n", b"three"]


def test_a_full_disk_costs_the_log_and_not_the_output(pipe: tuple[int, int]) -> None:
    out, end = output(Log("/dev/full"))
    out.sinks.append(Sink(pipe[1]))
    os.write(end, b"line\n")
    assert out.pump()
    os.close(end)
    out.pump()
    out.finish()
    assert os.read(pipe[0], CHUNK) == b"line\n"


def test_times_go_there_and_back() -> None:
    for time_ns in (0, 1, 1_700_000_000_123_456_789):
        assert parse_time(timestamp(time_ns)) == time_ns


def test_a_log_that_isn_t_there_has_no_lines(tmp_path: Path) -> None:
    assert list(read(tmp_path / "none")) == []


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"))
    log.write("stderr", b"1\n2\n3\n4\n")
    log.close()
    assert [line.data for line in read(tmp_path / "log", tail=2)] == [b"3\n", b"4\n"]
    assert list(read(tmp_path / "log", tail=0)) == []


def test_following_shows_what_comes_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path))
    log.write("stdout", b"before\n")
    states = iter([True, True, False])

    def running() -> bool:
        alive = next(states)
        log.write("stdout", b"alive\n" if alive else b"last\n")
        return alive

    assert [line.data for line in read(path, running)] == [b"before\n", b"alive\n", b"alive\n", b"last\n"]
    log.close()


def test_half_an_entry_waits_for_its_other_half(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('{"log": "half')
    assert list(read(path)) == []


def test_lines_end_with_line_feeds_only(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"))
    log.write("stdout", "10 %\r20 %\r\nform\x0cfeed\u2028\n".encode())
    log.close()
    assert [line.data for line in read(tmp_path / "log")] == [b"10 %\r20 %\r\n", "form\x0cfeed\u2028\n".encode()]


def test_a_chunk_s_end_cuts_no_line(tmp_path: Path) -> None:
    out, end = output(Log(str(tmp_path / "log")))
    lines = [b"%07d\n" % number for number in range(20_000)]
    data = b"x" + b"".join(lines)
    for start in range(0, len(data), CHUNK):
        os.write(end, data[start : start + CHUNK])
        out.pump()
    os.close(end)
    out.pump()
    out.finish()
    assert [line.data for line in read(tmp_path / "log")] == [b"x" + lines[0], *lines[1:]]


def test_a_line_without_an_end_is_logged_in_pieces(tmp_path: Path) -> None:
    out, end = output(Log(str(tmp_path / "log")))
    for _ in range(3):
        os.write(end, b"x" * CHUNK)
        out.pump()
    assert [len(line.data) for line in read(tmp_path / "log")] == [CHUNK] * 3
    os.close(end)
    out.pump()
    out.finish()


def test_what_a_full_disk_has_cut_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    log = Log(str(path))
    log.write("stdout", b"before\n")
    room, write = [140], os.write

    def limited(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")
        written = write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", limited)
    with pytest.raises(OSError, match="full"):
        log.write("stdout", b"first\nsecond\nthird\n")
    room[0] = 10_000
    log.write("stdout", b"after\n")
    log.close()
    assert [line.data for line in read(path)] == [b"before\n", b"first\n", b"after\n"]


def test_an_entry_that_a_crash_has_torn_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('{"log": "ha')
    log = Log(str(path))
    log.write("stdout", b"lost with it\n")
    log.write("stdout", b"whole\n")
    log.close()
    assert [line.data for line in read(path)] == [b"whole\n"]


def test_the_tail_of_a_long_log_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path))
    lines = [b"%d\n" % number for number in range(3000)]
    log.write("stdout", b"".join(lines))
    log.close()
    for count in (0, 1, 2, 999, 2999, 3000, 3001):
        assert [line.data for line in read(path, tail=count)] == lines[max(0, 3000 - count) :]


def test_a_full_log_is_put_aside_and_read_across(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(str(path), most_bytes=1000, most_files=3)
    for number in range(10):
        log.write("stdout", b"".join(b"%d.%d\n" % (number, each) for each in range(5)))
    log.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(each.stat().st_size < 1100 for each in tmp_path.iterdir())
    found = [line.data for line in read(path)]
    assert found == [b"%d.%d\n" % divmod(number, 5) for number in range(50)][-len(found) :]
    assert len(found) >= 20
    assert [line.data for line in read(path, tail=15)] == found[-15:]


def test_a_log_goes_on_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for _ in range(3):
        log = Log(str(path), most_bytes=100, most_files=2)
        log.write("stdout", b"x" * 40 + b"\n")
        log.close()
    assert [path.exists(), path.with_name("log.1").exists()] == [True, True]
    log = Log(str(path), most_bytes=1, most_files=1)
    log.write("stdout", b"a\nb\n")
    log.close()
    assert [line.data for line in read(path)][-1] == b"b\n"


def test_times_bound_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    entries = [{"log": f"{n}\n", "stream": "stdout", "time": timestamp(n)} for n in range(5)]
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    assert [line.time_ns for line in read(path, since_ns=1, until_ns=3)] == [1, 2, 3]
    assert [line.time_ns for line in read(path, tail=3, until_ns=3)] == [2, 3]
    assert [line.time_ns for line in read(path, lambda: True, since_ns=3, until_ns=10)] == [3, 4]


def test_what_json_can_t_have_comes_back_unchanged(tmp_path: Path) -> None:
    log = Log(str(tmp_path / "log"))
    lines = [
        bytes(range(10)) + b"\n",
        bytes(range(11, 256)) + b"\n",
        b'\\n"\\\\n\\\n',
        b"\x1b[1m\xe2\x82\xac\xff\n",
        b"end",
    ]
    log.write("stderr", b"".join(lines))
    log.close()
    assert [line.data for line in read(tmp_path / "log")] == lines
    assert {json.loads(entry)["stream"] for entry in (tmp_path / "log").read_bytes().splitlines()} == {"stderr"}


@pytest.mark.parametrize(("rush_s", "gathered"), [(60.0, 2), (-1.0, 0)])
def test_small_pieces_that_come_at_once_are_gathered(
    rush_s: float, gathered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(stdio, "RUSH_S", rush_s)
    monkeypatch.setattr("time.sleep", slept.append)
    out, end = output()
    for _ in range(3):
        os.write(end, b"x" * 100)
        assert out.pump()
    assert slept == [stdio.GATHER_S] * gathered
    assert (fcntl.fcntl(end, fcntl.F_GETPIPE_SZ) == stdio.WIDE) is (gathered > 0)
    os.close(end)
    out.pump()
