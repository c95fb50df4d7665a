from __future__ import annotations

import io

from dockmagic.commands.output import CappedStreams, CappedText


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
    text = CappedText(stream, head=4, tail=4)
    for piece in (b"headxx", b"yyyy", b"zzzz", b"ta", b"il"):
        text.write(piece)
    assert stream.getvalue().startswith("head\n[… more than can be shown")
    text.close()
    assert stream.getvalue().endswith("[… 10B left out …]\ntail")


def test_a_tail_that_fits_follows_whole() -> None:
    stream = io.StringIO()
    text = CappedText(stream, head=4, tail=10)
    text.write(b"headtail")
    text.close()
    assert stream.getvalue().endswith("follow]\ntail")


def test_streams_stay_apart() -> None:
    out, err = io.StringIO(), io.StringIO()
    streams = CappedStreams(out, err)
    streams.write("stderr", b"oops\n")
    streams.write("stdout", b"hi\n")
    streams.close()
    assert (out.getvalue(), err.getvalue()) == ("hi\n", "oops\n")
