from __future__ import annotations

import threading

import pytest

from dockmagic.image.readahead import ReadAhead


class Pieces:
    """A source that gives one piece after the other, each when it may; an error among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = list(pieces)
        self.taken = 0

    def read(self, size: int = -1, /) -> bytes:
        self.taken += 1
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece


def read_all(source: ReadAhead) -> list[bytes]:
    pieces = []
    while piece := source.read():
        pieces.append(piece)
    return pieces


def test_the_bytes_come_in_order_and_end() -> None:
    with ReadAhead(Pieces(b"a", b"bc", b"d")) as ahead:
        assert read_all(ahead) == [b"a", b"bc", b"d"]
        assert ahead.read() == b""


def test_an_error_comes_after_what_was_before_it_and_stays() -> None:
    with ReadAhead(Pieces(b"a", ValueError("damaged"))) as ahead:
        assert ahead.read() == b"a"
        for _ in range(2):
            with pytest.raises(ValueError, match="damaged"):
                ahead.read()


def test_it_reads_only_a_few_pieces_ahead() -> None:
    source = Pieces(*[b"x"] * 100)
    with ReadAhead(source) as ahead:
        ahead.read()
        deadline = threading.Event()
        while source.taken < 7 and not deadline.wait(0.005):
            pass
        deadline.wait(0.03)
        assert source.taken <= 8
        assert len(read_all(ahead)) == 99


def test_who_leaves_early_leaves_no_thread() -> None:
    with ReadAhead(Pieces(*[b"x"] * 100)) as ahead:
        ahead.read()
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]
