"""This machine's platform, and the choice of an index's entry for a platform. Source: image-spec image-index.md."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from dockmagic.errors import InvalidOption
from dockmagic.oci.descriptor import Descriptor, Platform

_MACHINES: Final = {  # uname -m to GOARCH and variant
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "riscv64": ("riscv64", ""),
    "s390x": ("s390x", ""),
}
_IMPLIED: Final = {"arm64": "v8", "amd64": "v1", "arm": "v7"}  # what an entry without a variant means
_RUNS: Final = {"v8": ("v8",), "v7": ("v7", "v6", "v5"), "v6": ("v6", "v5"), "v5": ("v5",)}
_AMD64_LEVELS: Final = ("v4", "v3", "v2", "v1")


def host_platform() -> Platform:
    """The platform that this machine runs."""
    machine = os.uname().machine
    architecture, variant = _MACHINES.get(machine, (machine, ""))
    return Platform("linux", architecture, variant)


def parse_platform(text: str) -> Platform:
    """The platform that a user means by OS/ARCH or OS/ARCH/VARIANT; raises InvalidOption.

    >>> parse_platform("linux/arm/v7")
    Platform(os='linux', architecture='arm', variant='v7', os_version='')
    """
    parts = text.lower().split("/")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise InvalidOption(f"invalid platform {text!r}: expected OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64")
    return Platform(*parts)


def describe(platform: Platform) -> str:
    """The platform as Docker writes it: "linux/arm/v7"."""
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)


def choose(entries: Iterable[Descriptor], wanted: Platform) -> Descriptor | None:
    """The entry that suits `wanted` best, the earlier of two equals; None where none does.

    Entries of the platform unknown/unknown (attestations) suit nobody; one without a platform suits where nothing
    else does.
    """
    ranked = [(rank, entry) for entry in entries if (rank := _rank(entry.platform, wanted)) is not None]
    return min(ranked, key=lambda pair: pair[0], default=(0, None))[1]


def suits(offered: Platform, wanted: Platform) -> bool:
    """Whether an image for `offered` runs where `wanted` does."""
    return _rank(offered, wanted) is not None


def _rank(offered: Platform | None, wanted: Platform) -> int | None:
    """How far an offer is from the best one (0); None where it doesn't run."""
    if offered is None:
        return len(_AMD64_LEVELS) + 1
    if (offered.os, offered.architecture) != (wanted.os, wanted.architecture):
        return None
    variants = _variants(wanted)
    variant = _normal(offered)
    return variants.index(variant) if variant in variants else None


def _variants(wanted: Platform) -> tuple[str, ...]:
    """Variants that run on `wanted`, best first."""
    variant = _normal(wanted)
    if wanted.architecture == "amd64" and variant in _AMD64_LEVELS:
        return _AMD64_LEVELS[_AMD64_LEVELS.index(variant) :]
    return _RUNS.get(variant, (variant,))


def _normal(platform: Platform) -> str:
    """The variant, with the one that an empty variant means."""
    return platform.variant or _IMPLIED.get(platform.architecture, "")
