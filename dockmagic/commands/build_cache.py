"""`--cache-to type=local,dest=DIR[,mode=max|min]` and `--cache-from type=local,src=DIR`.

Source: docker build's reference; Docker documentation, "Cache storage backends".
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dockmagic.commands.command import CommandParser
from dockmagic.errors import InvalidOption, one_of

if TYPE_CHECKING:
    from dockmagic.builder.cache_transfer import CacheTarget

_REASONS: Final = {
    "registry": "images aren't pushed yet",
    "inline": "it is for images that are pushed, which none is yet",
    "gha": "it is a service of GitHub Actions, which isn't talked to",
    "s3": "no object store is talked to",
    "azblob": "no object store is talked to",
}
_MODES: Final = ("min", "max")


def add_cache_flags(parser: CommandParser) -> None:
    """Add the flags."""
    parser.add_argument(
        "--cache-from", action="append", default=[], metavar="type=local,src=DIR", help="use this cache, too"
    )
    parser.add_argument(
        "--cache-to", action="append", default=[], metavar="type=local,dest=DIR[,mode=max]",
        help="write the cache of the image's steps, or with max of all",
    )  # fmt: skip


def cache_targets(given: Sequence[str]) -> tuple[CacheTarget, ...]:
    """Where the cache goes. Raises InvalidOption."""
    from dockmagic.builder.cache_transfer import CacheTarget

    targets = []
    for text in given:
        fields = _fields("--cache-to", text, "dest", ("mode",))
        mode = fields.get("mode", "min")
        if mode not in _MODES:
            raise InvalidOption(f"--cache-to {text!r}: mode can be {one_of(_MODES)}, not {mode!r}")
        targets.append(CacheTarget(Path(fields["dest"]).expanduser().absolute(), mode == "max"))
    return tuple(targets)


def cache_sources(given: Sequence[str]) -> tuple[Path, ...]:
    """Directories that have a cache; whether they do shows in the build. Raises InvalidOption."""
    return tuple(Path(_fields("--cache-from", text, "src")["src"]).expanduser().absolute() for text in given)


def _fields(flag: str, text: str, place: str, others: Collection[str] = ()) -> dict[str, str]:
    """The keys and values of a flag whose type is local, `place` among them."""
    try:
        words = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidOption(f"{flag} {text!r}: {error}") from None
    fields = dict(word.partition("=")[::2] for word in words)
    kind = fields.pop("type", "").lower()
    if not kind and len(words) == 1 and "=" not in text:
        kind = "registry"
    if kind != "local":
        reason = _REASONS.get(kind, f"there is no type {kind!r}" if kind else "it has no type")
        raise InvalidOption(f"{flag} {text!r} isn't available: {reason}; use type=local,{place}=DIR")
    unknown = [key for key in fields if key not in (place, *others)]
    if unknown:
        raise InvalidOption(f"{flag} {text!r}: type=local takes {one_of((place, *others))}, not {unknown[0]!r}")
    if not fields.get(place):
        raise InvalidOption(f"{flag} {text!r}: it has no {place}; write type=local,{place}=DIR")
    return fields
