from __future__ import annotations

import bz2
import errno
import gc
import gzip
import hashlib
import io
import lzma
import os
import threading
import time
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.errors import InvalidLayer
from dockmagic.image.compression import LayerWriter, open_layer

_PLAIN = b"a layer of many words, " * 4000 + bytes(range(256)) * 40
_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
_MAGIC_BYTES = {"gzip": 2, "zstd": 4, "bzip2": 3, "xz": 6}


class Trickle:
    """A source that gives a byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(min(size, 1))


def _read(data: bytes) -> bytes:
    with open_layer(io.BytesIO(data)) as plain:
        return plain.read()


@pytest.mark.parametrize("name", _COMPRESSORS)
def test_the_form_is_told_by_content(name: str) -> None:
    assert _read(_COMPRESSORS[name](_PLAIN)) == _PLAIN


@pytest.mark.parametrize("data", [b"", b"\x1f", b"plain", _PLAIN])
def test_what_is_not_compressed_comes_through(data: bytes) -> None:
    assert _read(data) == data


@pytest.mark.parametrize("name", _COMPRESSORS)
def test_a_stream_may_have_several_members(name: str) -> None:
    compress = _COMPRESSORS[name]
    assert _read(compress(_PLAIN) + compress(b"more") + compress(b"")) == _PLAIN + b"more"


@pytest.mark.parametrize("name", _COMPRESSORS)
def test_a_source_may_give_as_little_as_it_likes(name: str) -> None:
    with open_layer(Trickle(_COMPRESSORS[name](_PLAIN))) as plain:
        assert plain.read() == _PLAIN


@pytest.mark.parametrize("name", _COMPRESSORS)
def test_a_stream_cut_anywhere_is_refused(name: str) -> None:
    whole = _COMPRESSORS[name](_PLAIN[:5000])
    for cut in range(_MAGIC_BYTES[name], len(whole)):
        with pytest.raises(InvalidLayer, match=name):
            _read(whole[:cut])


def test_gzip_that_lacks_only_its_trailer_is_refused() -> None:
    archive = bytes(512 * 20)
    with pytest.raises(InvalidLayer, match="ends too early"):
        _read(gzip.compress(archive)[:-8])


@pytest.mark.parametrize("name", _COMPRESSORS)
def test_damage_is_found(name: str) -> None:
    damaged = bytearray(_COMPRESSORS[name](_PLAIN))
    damaged[len(damaged) // 2] ^= 0x10
    with pytest.raises(InvalidLayer, match=name):
        _read(bytes(damaged))


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_garbage_after_the_end_is_refused(name: str) -> None:
    with pytest.raises(InvalidLayer, match=name):
        _read(_COMPRESSORS[name](_PLAIN) + b"garbage")


def test_zeros_after_gzip_are_padding() -> None:
    assert _read(gzip.compress(_PLAIN) + bytes(1000)) == _PLAIN


def test_closing_leaves_the_source_open() -> None:
    source = io.BytesIO(gzip.compress(_PLAIN))
    open_layer(source).close()
    assert not source.closed


def test_errors_of_the_source_stay_what_they_are() -> None:
    class Broken:
        def read(self, size: int = -1, /) -> bytes:
            raise TimeoutError("no answer")

    with pytest.raises(TimeoutError):
        open_layer(Broken())


@given(st.lists(st.integers(0, 700_000), max_size=6))
def test_a_layer_does_not_depend_on_how_it_is_written(pieces: list[int]) -> None:
    plain = (_PLAIN * 40)[: sum(pieces)]
    results = []
    for sizes in (pieces, [len(plain)]):
        out = io.BytesIO()
        writer = LayerWriter(out)
        at = 0
        for size in sizes:
            assert writer.write(plain[at : at + size]) == len(plain[at : at + size])
            at += size
        writer.close()
        results.append((out.getvalue(), writer.digest, writer.diff_id, writer.size, writer.plain_size))
    assert results[0] == results[1]


def test_a_layer_knows_its_digests_and_sizes() -> None:
    out = io.BytesIO()
    writer = LayerWriter(out)
    writer.write(_PLAIN)
    writer.close()
    stored = out.getvalue()
    assert gzip.decompress(stored) == _PLAIN
    assert writer.diff_id == "sha256:" + hashlib.sha256(_PLAIN).hexdigest()
    assert writer.digest == "sha256:" + hashlib.sha256(stored).hexdigest()
    assert (writer.size, writer.plain_size) == (len(stored), len(_PLAIN))
    assert stored[4:8] == bytes(4), "a time in the header would change the digest"


def test_closing_a_layer_twice_adds_nothing() -> None:
    out = io.BytesIO()
    writer = LayerWriter(out)
    writer.close()
    size = writer.size
    writer.close()
    assert (writer.size, len(out.getvalue())) == (size, size)


@pytest.mark.parametrize("name", ["digest", "diff_id"])
def test_an_open_layer_has_no_digest(name: str) -> None:
    with pytest.raises(ValueError, match="closed"):
        getattr(LayerWriter(io.BytesIO()), name)


class Full:
    """A file on a disk without space."""

    def write(self, data: bytes, /) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_errors_of_the_file_come_up_and_leave_no_thread(size: int) -> None:
    before = threading.active_count()
    writer = LayerWriter(Full())
    with pytest.raises(OSError, match="No space left"):  # noqa: PT012  # either may raise it
        writer.write(bytes(size))
        writer.close()
    del writer
    gc.collect()
    assert _soon(lambda: threading.active_count() == before)


def test_closing_ends_the_thread() -> None:
    before = threading.active_count()
    writer = LayerWriter(io.BytesIO())
    writer.write(bytes(3 << 20))
    writer.close()
    assert threading.active_count() == before


def _soon(condition: Callable[[], bool]) -> bool:
    """Whether the condition holds within five seconds."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()
