from __future__ import annotations

import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.image.zstd_frames import ZstdFrames

_PLAIN = bytes(range(256)) * 1200 + bytes(300_000)
_SKIPPABLE = bytes.fromhex("502a4d18") + (5).to_bytes(4, "little") + b"12345"


def _frame(**settings: bool) -> bytes:
    return zstandard.ZstdCompressor(**settings).compress(_PLAIN)  # type: ignore[arg-type]  # all of them are flags


def _streamed() -> bytes:
    """A frame whose header doesn't know the content's size."""
    compressor = zstandard.ZstdCompressor().compressobj()
    return compressor.compress(_PLAIN) + compressor.flush()


_STREAMS = (
    _frame(),
    _frame(write_checksum=True),
    _streamed(),
    _SKIPPABLE,
    _frame() + _SKIPPABLE + _frame(write_checksum=True),
    zstandard.compress(b""),
)


def _complete(data: bytes, piece: int) -> bool:
    frames = ZstdFrames()
    for start in range(0, len(data), piece):
        frames.feed(data[start : start + piece])
    return frames.complete


@given(st.sampled_from(_STREAMS), st.integers(1, 400))
def test_a_whole_stream_is_complete_however_it_arrives(stream: bytes, piece: int) -> None:
    assert _complete(stream, piece)


@given(st.sampled_from(_STREAMS), st.integers(1, 400), st.data())
def test_a_cut_frame_is_not_complete(stream: bytes, piece: int, data: st.DataObject) -> None:
    ends = {0, len(_STREAMS[0]), len(_STREAMS[0]) + len(_SKIPPABLE)} if stream is _STREAMS[4] else {0}
    cut = data.draw(st.integers(1, len(stream) - 1).filter(lambda at: at not in ends))
    assert not _complete(stream[:cut], piece)
