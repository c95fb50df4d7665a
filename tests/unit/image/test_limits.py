from __future__ import annotations

import io

import pytest

from dockmagic.errors import InvalidLayer, InvalidOption
from dockmagic.image.limits import Guarded, Limits, parse_limits


def test_a_text_of_limits() -> None:
    assert parse_limits("") == Limits()
    assert parse_limits("entries=20m, RATIO=5") == Limits(max_entries=20 << 20, max_ratio=5)


@pytest.mark.parametrize("text", ["entries", "size=3", "bytes=-1", "bytes=3x", "bytes=kk"])
def test_texts_that_are_none(text: str) -> None:
    with pytest.raises(InvalidOption, match="DOCKMAGIC_UNPACK_LIMITS"):
        parse_limits(text)


def test_a_ratio_counts_from_a_size_on() -> None:
    limits = Limits(max_ratio=10, ratio_from_bytes=500)
    assert Guarded(io.BytesIO(bytes(500)), lambda: 1, limits).read() == bytes(500)
    assert len(Guarded(io.BytesIO(bytes(1000)), lambda: 100, limits).read()) == 1000
    with pytest.raises(InvalidLayer, match=r"10 times its size .*DOCKMAGIC_UNPACK_LIMITS=ratio=N"):
        Guarded(io.BytesIO(bytes(1001)), lambda: 100, limits).read()


def test_a_stream_has_an_end() -> None:
    with pytest.raises(InvalidLayer, match="10 bytes"):
        Guarded(io.BytesIO(bytes(11)), lambda: 100, Limits(max_bytes=10)).read()
