from __future__ import annotations

import io

import pytest

from dockmagic.registry.body import Body, BrokenOff
from dockmagic.registry.faults import Fault


def body(data: bytes, **headers: str) -> Body:
    """A body of these bytes; headers by their names with underscores."""
    return Body(io.BytesIO(data), {name.replace("_", "-"): value for name, value in headers.items()})


def test_a_body_of_known_length_ends_there() -> None:
    read = body(b"helloGET /", Content_Length="5")
    assert (b"".join(read.chunks()), read.received, read.length) == (b"hello", 5, 5)
    assert list(body(b"more").chunks()) == []


def test_a_body_in_chunks() -> None:
    read = body(b"5;x=y\r\nhello\r\nB\r\n, it is me\n\r\n0\r\nTrailer: 1\r\n\r\nGET", Transfer_Encoding="Chunked")
    assert (b"".join(read.chunks()), read.received, read.length) == (b"hello, it is me\n", 16, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"5\r\nhel",
        b"x\r\n",
        b"-1\r\n",
        b"\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"0\r\n",
        b"f" * 2000,
        b"0" * 20,
    ],
)
def test_chunks_that_break_off(data: bytes) -> None:
    with pytest.raises(BrokenOff):
        list(body(data, Transfer_Encoding="chunked").chunks())


def test_a_body_that_is_too_short() -> None:
    with pytest.raises(BrokenOff):
        list(body(b"hel", Content_Length="5").chunks())


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Length": "-1"},
        {"Content_Length": "1, 1"},
        {"Content_Length": "1" * 30},
        {"Content_Length": "²"},
        {"Transfer_Encoding": "gzip, chunked"},
        {"Transfer_Encoding": "chunked", "Content_Length": "3"},
    ],
)
def test_headers_that_leave_the_end_open(headers: dict[str, str]) -> None:
    with pytest.raises(Fault) as caught:
        body(b"", **headers)
    assert caught.value.code == "SIZE_INVALID"


def test_a_document_that_is_too_long() -> None:
    assert body(b"hello", Content_Length="5").read(5) == b"hello"
    for headers in ({"Content_Length": "5"}, {"Transfer_Encoding": "chunked"}):
        with pytest.raises(Fault) as caught:
            body(b"5\r\nhello\r\n0\r\n\r\n", **headers).read(4)
        assert (caught.value.code, caught.value.status) == ("SIZE_INVALID", 413)


def test_what_nobody_wanted_is_read_away() -> None:
    read = body(b"helloGET", Content_Length="5")
    next(read.chunks())
    assert read.drain()
    assert read.received == 5
    assert not body(bytes(70 << 20), Content_Length=str(70 << 20)).drain()
