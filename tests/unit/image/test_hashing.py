from __future__ import annotations

import threading

import pytest

from dockmagic.image.hashing import Hashing
from dockmagic.oci.digest import Digest

_LARGE = bytes(1 << 20)


def _hash_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("hash")]


@pytest.mark.parametrize("pieces", [[], [b"small"], [_LARGE], [b"small", _LARGE, b"small", _LARGE * 3, _LARGE]])
def test_the_digest_is_that_of_all_pieces(pieces: list[bytes]) -> None:
    with Hashing("sha256") as hashing:
        for piece in pieces:
            hashing.update(memoryview(piece))
        assert hashing.digest == Digest.of(b"".join(pieces))
    assert _hash_threads() == []


def test_the_digest_so_far() -> None:
    with Hashing("sha512") as hashing:
        hashing.update(memoryview(_LARGE))
        before = hashing.digest
        hashing.update(memoryview(b"more"))
        assert before != hashing.digest
        assert before.algorithm == "sha512"


def _fail(hashing: Hashing) -> None:
    with hashing:
        hashing.update(memoryview(_LARGE))
        raise KeyError


def test_an_error_ends_the_thread() -> None:
    with pytest.raises(KeyError):
        _fail(Hashing("sha256"))
    assert _hash_threads() == []
