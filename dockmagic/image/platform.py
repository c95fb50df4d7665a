"""This machine's platform, and the choice of an index's entry for a platform. Source: image-spec image-index.md."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from dockmagic.errors import InvalidOption
from dockmagic.oci.descriptor import Descriptor, Platform
from dockmagic.oci.image import ImageConfig

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
_SYSTEMS: Final = ("linux", "windows", "darwin", "freebsd")
_ARCHITECTURES: Final = ("amd64", "arm64", "arm", "386", "ppc64le", "riscv64", "s390x", "loong64", "mips64le", "mips64")
_SPELLINGS: Final = {  # other words for an architecture, and the variant that they mean
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "i386": ("386", ""),
    "arm": ("arm", "v7"),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}


def host_platform() -> Platform:
    """The platform that this machine runs."""
    machine = os.uname().machine
    architecture, variant = _MACHINES.get(machine, (machine, ""))
    return Platform("linux", architecture, variant)


def platform_option(text: str, host: Platform | None = None) -> Platform:
    """What a user means by `--platform`; raises InvalidOption for several platforms, and for what is none."""
    if "," in text:
        reason = "an image is for one platform; take one after the other, with tags of their own"
        raise InvalidOption(f"--platform {text}: several platforms at once aren't available yet: {reason}")
    try:
        return parse_platform(text, host or host_platform())
    except ValueError as error:
        raise InvalidOption(f"--platform {text}: {error}") from None


def describe(platform: Platform) -> str:
    """The platform as Docker writes it: "linux/arm/v7"."""
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)


def platform_of(config: ImageConfig) -> Platform:
    """The platform that an image is for."""
    return Platform(config.os, config.architecture, config.variant)


def parse_platform(text: str, default: Platform) -> Platform:
    """The platform of "linux/arm64", "linux/arm/v7", or one of its words; raises ValueError.

    What isn't said is that of `default`. Spellings of uname(1) are known. Source: containerd, package platforms.

    >>> describe(parse_platform("aarch64", Platform("linux", "amd64")))
    'linux/arm64'
    """
    words = text.lower().split("/")
    if not 1 <= len(words) <= 3 or not all(words):
        raise ValueError("it isn't a platform; write it as linux/amd64 or linux/arm/v7")
    system, *names = words if len(words) > 1 or words[0] in _SYSTEMS else (default.os, *words)
    if system != "linux":
        raise ValueError(f"{system} isn't a system that images are made for here; only linux is")
    architecture, variant = _SPELLINGS.get(names[0], (names[0], "")) if names else (default.architecture, "")
    if architecture not in _ARCHITECTURES:
        raise ValueError(f"{names[0]!r} isn't an architecture; there are {', '.join(_ARCHITECTURES)}")
    variant = names[1] if len(names) > 1 else variant
    same = (system, architecture) == (default.os, default.architecture) and variant in ("", default.variant)
    return default if same else Platform(system, architecture, variant)


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


def mismatch(offered: Platform, host: Platform | None = None) -> str:
    """A warning about an image that wasn't made for this machine, "" where it was."""
    host = host or host_platform()
    if suits(offered, host):
        return ""
    return (
        f"The requested image's platform ({describe(offered)}) does not match the detected host platform "
        f"({describe(host)}) and no specific platform was requested"
    )


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
