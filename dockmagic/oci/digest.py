"""Digests and chain IDs. Source: image-spec descriptor.md "Digests", config.md "Layer ChainID"."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Sequence
from functools import lru_cache

from dockmagic.errors import InvalidManifest

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_FORM = re.compile(r"([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")  # nearly all there are
_KEPT = 4096  # chain IDs; a stack's are asked for at each of its layers


class Digest(str):
    """`algorithm:hex` of some bytes, checked when made; only sha256 and sha512 are registered.

    Raises InvalidManifest for anything else, so that a digest is always safe as a file name.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Digest:
        """Check the text and return it as a digest."""
        if _SHA256.fullmatch(text):
            return super().__new__(cls, text)
        match = _FORM.fullmatch(text)
        if match is None:
            raise InvalidManifest(f"not a digest: {text!r}; expected the form sha256:<64 hexadecimal digits>")
        algorithm, encoded = match.groups()
        if len(encoded) != _HEX_LENGTH.get(algorithm, -1) or not re.fullmatch(r"[0-9a-f]+", encoded):
            raise InvalidManifest(f"unsupported digest {text!r}; use sha256 or sha512 in lower-case hexadecimal")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """Digest of these bytes."""
        if algorithm == "sha256":
            return super().__new__(cls, f"sha256:{hashlib.sha256(data).hexdigest()}")
        return cls(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")

    @classmethod
    def sha256(cls, hexadecimal: str) -> Digest:
        """Digest from the hexadecimal form of a sha256."""
        return cls(f"sha256:{hexadecimal}")

    @property
    def algorithm(self) -> str:
        """The part before the colon."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The part after the colon."""
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """The first 12 hexadecimal digits, as Docker shows ids."""
        return self.hex[:12]


def chain_id(diff_ids: Sequence[Digest]) -> Digest:
    """Name of the stack of layers with these diff IDs, lowest first.

    ChainID(L0) = L0; ChainID(L0|…|Ln) = sha256(ChainID(L0|…|Ln-1) + " " + Ln).
    """
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = next_chain_id(chain, diff_id)
    return chain


@lru_cache(_KEPT)
def next_chain_id(parent: Digest | None, diff_id: Digest) -> Digest:
    """Chain ID of one more layer on top of `parent` (None: on nothing)."""
    return diff_id if parent is None else Digest.of(f"{parent} {diff_id}".encode())


def chain_ids(diff_ids: Sequence[Digest]) -> tuple[Digest, ...]:
    """Names of all stacks that these layers (lowest first) make, from the lowest layer alone to the whole."""
    return tuple(itertools.accumulate(diff_ids, next_chain_id))
