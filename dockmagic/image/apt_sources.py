"""The Debian mirror that this host uses, from apt's lists of sources. Source: sources.list(5), both of its formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_MIRROR: Final = "http://deb.debian.org/debian"

_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)(?:\s|$)")
_SUITES: Final = frozenset(
    ("bullseye", "bookworm", "trixie", "forky", "sid", "oldoldstable", "oldstable", "stable", "testing", "unstable")
)


@dataclass(frozen=True, slots=True)
class Source:
    """An archive of packages: where it is, and one of its suites."""

    uri: str
    suite: str


def debian_mirror(suite: str, directory: Path = Path("/etc/apt")) -> str:
    """Base URL of the mirror that apt takes this suite from, else any Debian suite, else Debian's own."""
    sources = [source for source in read_sources(directory) if source.uri.startswith(("http://", "https://"))]
    same = (source.uri for source in sources if source.suite == suite)
    any_suite = (source.uri for source in sources if source.suite in _SUITES)
    return next(same, None) or next(any_suite, DEFAULT_MIRROR)


def read_sources(directory: Path) -> Iterator[Source]:
    """All enabled binary sources below an /etc/apt, in apt's order; unreadable files are passed over."""
    extra = directory / "sources.list.d"
    for path in (directory / "sources.list", *sorted(extra.glob("*.list")), *sorted(extra.glob("*.sources"))):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        yield from _stanzas(text) if path.suffix == ".sources" else _lines(text)


def _lines(text: str) -> Iterator[Source]:
    """Sources of the one-line format."""
    matches = (_LINE.match(line.strip()) for line in text.splitlines())
    return (Source(match[1], match[2]) for match in matches if match is not None)


def _stanzas(text: str) -> Iterator[Source]:
    """Sources of the deb822 format."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", plain):
        fields = _fields(stanza.splitlines())
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() not in ("no", "false"):
            for uri in fields.get("uris", "").split():
                yield from (Source(uri, suite) for suite in fields.get("suites", "").split())


def _fields(lines: Iterable[str]) -> dict[str, str]:
    """Fields of a stanza by name in lower case; a line that starts with a space continues the one before."""
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
