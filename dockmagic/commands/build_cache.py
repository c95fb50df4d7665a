"""`--cache-to type=local,dest=DIR[,mode=max|min]` and `--cache-from type=local,src=DIR`; in a registry, with ref=NAME,
and in the image itself.

Source: docker build's reference; Docker documentation, "Cache storage backends".
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dockmagic.commands.command import CommandParser
from dockmagic.errors import InvalidOption, one_of
from dockmagic.oci.reference import Reference

if TYPE_CHECKING:
    from dockmagic.builder.cache_transfer import CacheTarget

_LOCAL, _REGISTRY, _INLINE = "local", "registry", "inline"
_TO: Final = {_LOCAL: ("dest", "mode"), _REGISTRY: ("ref", "mode"), _INLINE: ()}  # the first key says where
_FROM: Final = {_LOCAL: ("src",), _REGISTRY: ("ref",)}
_VALUES: Final = {"dest": "DIR", "src": "DIR", "ref": "NAME"}
_REASONS: Final = {
    _INLINE: "an image that has its cache inside is named as any other",
    "gha": "it is a service of GitHub Actions, which isn't talked to",
    "s3": "no object store is talked to",
    "azblob": "no object store is talked to",
}
_MODES: Final = ("min", "max")


def add_cache_flags(parser: CommandParser) -> None:
    """Add the flags."""
    parser.add_argument(
        "--cache-from", action="append", default=[], metavar="type=local,src=DIR",
        help="use this cache, too; or NAME, or type=registry,ref=NAME",
    )  # fmt: skip
    parser.add_argument(
        "--cache-to", action="append", default=[], metavar="type=local,dest=DIR[,mode=max]",
        help="write the cache of the image's steps, or with max of all; or to type=registry,ref=NAME; or, with "
        "type=inline, into the image",
    )  # fmt: skip


def cache_targets(given: Sequence[str]) -> tuple[CacheTarget, ...]:
    """Where the cache goes. Raises InvalidOption, InvalidReference."""
    from dockmagic.builder.cache_transfer import CacheTarget

    targets = []
    for text in given:
        kind, fields = _fields("--cache-to", text, _TO)
        mode = fields.get("mode", "min")
        if mode not in _MODES:
            raise InvalidOption(f"--cache-to {text!r}: mode can be {one_of(_MODES)}, not {mode!r}")
        place = None if kind == _INLINE else _place(kind, fields[_TO[kind][0]])
        targets.append(CacheTarget(place, mode == "max"))
    return tuple(targets)


def cache_sources(given: Sequence[str]) -> tuple[Path | Reference, ...]:
    """Where caches are; whether they are shows in the build. Raises InvalidOption, InvalidReference."""
    found = (_fields("--cache-from", text, _FROM) for text in given)
    return tuple(_place(kind, fields[_FROM[kind][0]]) for kind, fields in found)


def _place(kind: str, value: str) -> Path | Reference:
    """The directory, or the name in a registry."""
    return Path(value).expanduser().absolute() if kind == _LOCAL else Reference.parse(value)


def _fields(flag: str, text: str, known: Mapping[str, tuple[str, ...]]) -> tuple[str, dict[str, str]]:
    """The type of a flag, one of those that are known, and its keys and values."""
    try:
        words = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidOption(f"{flag} {text!r}: {error}") from None
    if len(words) == 1 and "=" not in text:
        return _REGISTRY, {"ref": text}
    fields = dict(word.partition("=")[::2] for word in words)
    kind = fields.pop("type", "").lower()
    forms = " or ".join(
        f"type={kind}" + "".join(f",{key}={_VALUES[key]}" for key in keys[:1]) for kind, keys in known.items()
    )
    if kind not in known:
        reason = _REASONS.get(kind, f"there is no type {kind!r}" if kind else "it has no type")
        raise InvalidOption(f"{flag} {text!r} isn't available: {reason}; use {forms}")
    unknown = [key for key in fields if key not in known[kind]]
    if unknown:
        allowed = one_of(known[kind]) if known[kind] else "nothing more"
        raise InvalidOption(f"{flag} {text!r}: type={kind} takes {allowed}, not {unknown[0]!r}")
    if known[kind] and not fields.get(known[kind][0]):
        raise InvalidOption(f"{flag} {text!r}: it has no {known[kind][0]}; write {forms}")
    return kind, fields
