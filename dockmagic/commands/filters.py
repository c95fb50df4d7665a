"""Values of --filter: which images, containers or records of the build cache a command is about.

Source: Docker's reference ("Filtering" of image prune, container prune, system prune, buildx prune), and the forms of
a time that its daemon takes (api/types/time).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from dockmagic.commands.values import duration_s
from dockmagic.commands.words import FALSE, TRUE
from dockmagic.errors import InvalidOption, one_of
from dockmagic.oci.selection import Label, Selection

if TYPE_CHECKING:
    from dockmagic.builder.records import CacheRecord

_UNIX: Final = re.compile(r"\d+(\.\d{1,9})?")
_RECORD: Final = re.compile(r"(?s)([a-z-]+)(?:(~=|!=|=)(.+))?")
_SHORT_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)(Z|[+-]\d\d:\d\d)?")


@dataclass(frozen=True)
class Filter:
    """`name=value`."""

    name: str
    value: str


def parse(text: str, known: Sequence[str]) -> Filter:
    """A filter of one of the `known` names. Raises InvalidOption."""
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise InvalidOption(f"{text!r} isn't a filter; write name=value, such as {known[0]}=…")
    if name.strip() not in known:
        raise InvalidOption(f"invalid filter {name.strip()!r}; there are {one_of(list(known))}")
    return Filter(name.strip(), value.strip())


def selection(filters: Sequence[Filter], now_s: float) -> Selection:
    """What the filters `until`, `label` and `label!` take together; others are left out. Raises InvalidOption."""
    times = [filter.value for filter in filters if filter.name == "until"]
    if len(times) > 1:
        raise InvalidOption("--filter until=… may be given once")
    return Selection(
        moment_ns(times[0], now_s) if times else None,
        tuple(_label(filter.value) for filter in filters if filter.name == "label"),
        tuple(_label(filter.value) for filter in filters if filter.name == "label!"),
    )


def _label(text: str) -> Label:
    """A label from `name` or `name=value`."""
    name, equals, value = text.partition("=")
    return Label(name, value if equals else None)


def moment_ns(text: str, now_s: float) -> int:
    """Nanoseconds since 1970 of "10m" (that long ago), "2024-01-31T10:00:00Z", "2024-01-31" (here), or of seconds.

    "-10m" is still to come. Raises InvalidOption.

    >>> moment_ns("1m30s", 100.0), moment_ns("1970-01-01T00:00:01Z", 0.0), moment_ns("1.5", 0.0)
    (10000000000, 1000000000, 1500000000)
    """
    if _UNIX.fullmatch(text):
        seconds, _, fraction = text.partition(".")
        return int(seconds) * 10**9 + int(fraction.ljust(9, "0") or 0)
    try:
        short = _SHORT_TIME.fullmatch(text)
        moment = datetime.fromisoformat(f"{short[1]}:00{short[2] or ''}" if short else text)
    except ValueError:
        return _ago_ns(text, now_s)
    return int(moment.timestamp() * 10**6) * 1000


def _ago_ns(text: str, now_s: float) -> int:
    """The moment that lies a duration back, or ahead."""
    sign = -1 if text.startswith("-") else 1
    try:
        return int((now_s - sign * duration_s(text.removeprefix("-"))) * 1e9)
    except InvalidOption:
        message = "isn't a time; write how long ago, such as 24h, or a date such as 2024-01-31T10:00:00Z"
        raise InvalidOption(f"{text!r} {message}") from None


def truth(filter: Filter) -> bool:
    """The value of a filter that is true or false. Raises InvalidOption."""
    if filter.value not in TRUE | FALSE:
        raise InvalidOption(f"{filter.name}={filter.value}: write true or false")
    return filter.value in TRUE


# the build cache

Takes = Callable[["CacheRecord"], bool]


def cache_filter(text: str, now_s: float) -> Takes:
    """Which records a filter of the build cache takes: `name=value`, `name!=value` or `name~=pattern`.

    Raises InvalidOption.
    """
    match = _RECORD.fullmatch(text.strip())
    if match is None:
        raise InvalidOption(
            f"{text!r} isn't a filter; write name=value, such as until=24h, or name alone for name=true"
        )
    name, operator, value = match[1], match[2] or "=", match[3] or "true"
    if name in ("until", "unused-for"):
        until_ns = moment_ns(value, now_s)
        return lambda record: record.used_ns < until_ns
    if name not in _FIELDS:
        raise InvalidOption(f"invalid filter {name!r}; there are {one_of(['until', *_FIELDS])}")
    return _comparison(_FIELDS[name], operator, value)


def _comparison(field: Callable[[CacheRecord], str], operator: str, value: str) -> Takes:
    """Whether a field of a record equals the value, doesn't, or matches it as a pattern."""
    if operator == "~=":
        try:
            pattern = re.compile(value)
        except re.error as error:
            raise InvalidOption(f"{value!r} isn't a regular expression: {error}") from error
        return lambda record: pattern.search(field(record)) is not None
    return lambda record: (field(record) == value) == (operator == "=")


_FIELDS: Final[dict[str, Callable[[CacheRecord], str]]] = {
    "id": lambda record: record.id,
    "parent": lambda record: record.parent,
    "type": lambda record: record.kind,
    "description": lambda record: record.description,
    "inuse": lambda record: str(record.in_use).lower(),
    "shared": lambda record: str(record.shared).lower(),
    "private": lambda record: str(not record.shared).lower(),
}
