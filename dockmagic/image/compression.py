"""Layer blobs: compressed bytes to plain tar bytes and back, with the digests of both.

Compression is told by content, never by name or media type. Sources: image-spec layer.md "gzip Media Types" and "zstd
Media Types", RFC 1952 (gzip), RFC 8878 (zstd).
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Protocol

import zstandard
from isal import igzip, isal_zlib

from dockmagic.errors import InvalidLayer
from dockmagic.image.streams import Sink, Source
from dockmagic.image.zstd_frames import ZstdFrames
from dockmagic.oci.digest import Digest

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_CHUNK: Final = 1 << 20  # what LayerWriter compresses at a time; another number gives other digests
_PIECE: Final = 1 << 18  # bytes of a blob that are read at a time
_LONGEST_MAGIC: Final = 6
_MAX_ZSTD_WINDOW: Final = 1 << 27  # bytes; what zstd(1) accepts without --long
_LEVEL: Final = 1  # as small as zlib's 1, several times as fast
_GZIP_CONTAINER: Final = 31  # a window of 32 KiB, and a header that holds no time and no name


def open_layer(source: Source, what: str = "layer") -> Plain:
    """Plain bytes of a blob that is gzip, zstd, bzip2, xz or not compressed at all.

    Its `read` may give fewer bytes than it was asked for, as that of a file without a buffer. Reading raises
    InvalidLayer where the stream is damaged or ends early; several members or frames are read as one. Only who reads
    until the end knows that the stream is whole. Closing the result leaves `source` open. `what` is what messages call
    the blob.
    """
    head = _read_up_to(source, _LONGEST_MAGIC)
    whole = _Rejoined(head, source)
    for form in _FORMATS:
        if head.startswith(form.magic):
            return _Decompressed(form, io.BufferedReader(whole, _PIECE), what)
    return whole


def _read_up_to(source: Source, size: int) -> bytes:
    """The first `size` bytes, fewer only where the source ends before."""
    head = b""
    while len(head) < size and (more := source.read(size - len(head))):
        head += more
    return head


class Plain(io.RawIOBase, ABC):
    """A stream whose pieces are handed on without a copy."""

    @abstractmethod
    def piece(self, size: int) -> bytes:
        """At most `size` bytes, none at the end."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, all of them where it is negative; none at the end."""
        return self.readall() if size < 0 else self.piece(size)

    def readable(self) -> bool:
        """True: it is there to be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffered reader passes no other kind
        """Fill a part of the buffer and return its length; 0 at the end."""
        data = self.piece(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Rejoined(Plain):
    """A source whose first bytes were looked at, whole again."""

    def __init__(self, head: bytes, source: Source) -> None:
        self._head = head
        self._source = source

    def piece(self, size: int) -> bytes:
        """At most `size` bytes, none at the end."""
        data, self._head = self._head[:size], self._head[size:]
        return data or self._source.read(size)


class _Reader(Protocol):
    """What the decompressors have in common."""

    def read(self, size: int = ..., /) -> bytes:
        """At most `size` plain bytes, none at the end."""


class _Format(NamedTuple):
    """A compression, how it begins, how to read it, and what its reader raises on damage."""

    name: str
    magic: bytes
    opener: Callable[[BinaryIO], _Reader]
    damage: tuple[type[Exception], ...]


class _Decompressed(Plain):
    """Plain bytes of a compressed stream; damage is an InvalidLayer."""

    def __init__(self, form: _Format, source: BinaryIO, what: str) -> None:
        self._form = form
        self._name = what
        self._plain = form.opener(source)

    def piece(self, size: int) -> bytes:
        """At most `size` bytes, none at the end."""
        try:
            return self._plain.read(size)
        except self._form.damage as error:
            early = isinstance(error, EOFError)
            what = "ends too early" if early else f"is damaged ({error})"
            raise InvalidLayer(
                f"the {self._name}'s {self._form.name} stream {what}; fetch the {self._name} again"
            ) from error


class _Zstd:
    """Plain bytes of zstd frames. zstandard takes a frame that ends early for whole, so the frames are followed."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._frames = ZstdFrames()
        feed = io.BufferedReader(_Rejoined(b"", _Watched(source, self._frames.feed)), _PIECE)
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW)
        self._plain = decompressor.stream_reader(feed, read_across_frames=True)

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` plain bytes, none at the end; EOFError in the middle of a frame."""
        data = self._plain.read(size)
        if not data and not self._frames.complete:
            raise EOFError
        return data


class _Watched:
    """A source that shows each piece to somebody else."""

    def __init__(self, source: Source, watch: Callable[[bytes], None]) -> None:
        self._source = source
        self._watch = watch

    def read(self, size: int = -1, /) -> bytes:
        """What the source gives."""
        data = self._source.read(size)
        self._watch(data)
        return data


_FORMATS: Final = (
    _Format(
        "gzip",
        b"\x1f\x8b",
        lambda source: igzip.IGzipFile(fileobj=source, mode="rb"),  # type: ignore[no-untyped-call]  # lacks types
        (EOFError, gzip.BadGzipFile, isal_zlib.error),  # type: ignore[arg-type]  # typed as an instance
    ),
    _Format("zstd", b"\x28\xb5\x2f\xfd", _Zstd, (EOFError, zstandard.ZstdError)),
    _Format("bzip2", b"BZh", bz2.BZ2File, (EOFError, OSError)),
    _Format("xz", b"\xfd7zXZ\x00", lzma.LZMAFile, (EOFError, lzma.LZMAError)),
)


class LayerWriter:
    """Plain tar bytes in, gzip out, and the digests of both; the result depends on nothing but the plain bytes.

    The digests, like `size`, are there once it is closed. It leaves `out` open. Layers of more than a piece (1 MiB) are
    compressed and written in a thread, which `close` ends; an error of `out` comes with a later write or with `close`.
    """

    def __init__(self, out: Sink) -> None:
        self._out = out
        self._gzip = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP_CONTAINER)
        self._plain_hash = hashlib.sha256()
        self._stored_hash = hashlib.sha256()
        self._waiting = bytearray()
        self._thread: ThreadPoolExecutor | None = None
        self._compressing: Future[None] | None = None
        self._closed = False
        self.plain_size = 0
        self.size = 0

    def write(self, data: bytes, /) -> int:
        """Take plain bytes; return their length."""
        self._plain_hash.update(data)
        self.plain_size += len(data)
        self._waiting += data
        # Compressed in pieces of one length: otherwise the caller's pieces would show in the result.
        whole = len(self._waiting) - len(self._waiting) % _CHUNK
        for start in range(0, whole, _CHUNK):
            self._compress_meanwhile(bytes(self._waiting[start : start + _CHUNK]))
        del self._waiting[:whole]
        return len(data)

    def close(self) -> None:
        """Write the end of the gzip stream; closing twice does nothing."""
        if self._closed:
            return
        if self._thread is not None:
            self._thread.shutdown()
        self._settle()
        self._compress(self._waiting)
        self._store(self._gzip.flush())
        self._closed = True

    @property
    def diff_id(self) -> Digest:
        """Digest of the plain tar."""
        return self._final(self._plain_hash)

    @property
    def digest(self) -> Digest:
        """Digest of the compressed bytes."""
        return self._final(self._stored_hash)

    def _final(self, state: hashlib._Hash) -> Digest:
        if not self._closed:
            raise ValueError("a layer has no digest before its writer is closed")
        return Digest.sha256(state.hexdigest())

    def _compress_meanwhile(self, piece: bytes) -> None:
        """Start on a piece once the one before is done."""
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor  # brings logging with it

            self._thread = ThreadPoolExecutor(1, "layer")
        self._settle()
        self._compressing = self._thread.submit(self._compress, piece)

    def _settle(self) -> None:
        """Wait for the thread, and raise its error."""
        if self._compressing is not None:
            self._compressing.result()

    def _compress(self, piece: bytes | bytearray) -> None:
        self._store(self._gzip.compress(piece))

    def _store(self, data: bytes) -> None:
        self._stored_hash.update(data)
        self._out.write(data)
        self.size += len(data)
