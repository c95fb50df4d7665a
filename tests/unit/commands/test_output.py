from __future__ import annotations

import io

from dockmagic.commands.output import CappedStreams, CappedText, Tail


def test_a_character_in_two_pieces_stays_whole() -> None:
    stream = io.StringIO()
    text = CappedText(stream)
    text.write("é".encode()[:1])
    text.write("é".encode()[1:] + b"\xff")
    text.close()
    assert stream.getvalue() == "é\ufffd"


def test_what_fits_arrives_at_once() -> None:
    stream = io.StringIO()
    text = CappedText(stream, head=10, tail=4)
    text.write(b"0123456789")
    assert stream.getvalue() == "0123456789"
    text.close()
    assert stream.getvalue() == "0123456789"


def test_head_and_tail_of_what_is_too_much() -> None:
    stream = io.StringIO()
    text = CappedText(stream, head=5, tail=8)
    for piece in (b"head\nxx", b"yyyy\n", b"zzzz\n", b"th", b"e\nend"):
        text.write(piece)
    assert stream.getvalue().startswith("head\n\n[… more than can be shown")
    text.close("logs web shows all")
    assert stream.getvalue().endswith("[… 2 lines (12B) left out; logs web shows all …]\nthe\nend")


def test_a_tail_that_fits_follows_whole() -> None:
    stream = io.StringIO()
    text = CappedText(stream, head=5, tail=10, silent=True)
    text.write("headétail".encode())
    text.close()
    assert stream.getvalue() == "headétail"


def test_a_silent_one_leaves_out_without_a_word() -> None:
    stream = io.StringIO()
    text = CappedText(stream, head=5, tail=4, silent=True)
    text.write(b"head\nmiddle\ntail")
    assert text.left_out() == (1, 7)
    text.close()
    assert stream.getvalue() == "head\ntail"


def test_a_tail_keeps_the_end_and_counts_all() -> None:
    tail = Tail(6)
    for number in range(1000):
        tail.add(b"%03d\n" % number)
    assert (tail.size_bytes, tail.lines, tail.last(), tail.last_lines()) == (4000, 1000, b"8\n999\n", b"999\n")


def test_streams_stay_apart() -> None:
    out, err = io.StringIO(), io.StringIO()
    streams = CappedStreams(out, err)
    streams.write("stderr", b"oops\n")
    streams.write("stdout", b"hi\n")
    assert (streams.full, streams.gap()) == (False, "")
    streams.close()
    assert (out.getvalue(), err.getvalue()) == ("hi\n", "oops\n")


def test_streams_say_together_what_is_left_out() -> None:
    streams = CappedStreams(io.StringIO(), io.StringIO())
    for stream in ("stdout", "stderr"):
        streams.write(stream, b"x\n" * 100_000)
    assert streams.full
    assert streams.gap() == "[… 56,002 lines (109.4KiB) left out …]"
    assert streams.latest(2) == "x\nx\n"
