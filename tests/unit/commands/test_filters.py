from __future__ import annotations

import pytest

from dockmagic.builder.records import CacheRecord
from dockmagic.commands import filters
from dockmagic.errors import InvalidOption

KNOWN = ("until", "label", "label!")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10m", 400), ("1h30m", -4400), ("500", 500), ("1970-01-01T00:10:00Z", 600), ("1970-01-01T01+01:00", 0)],
)
def test_moments(text: str, seconds: int) -> None:
    assert filters.moment_ns(text, 1000.0) == seconds * 10**9


@pytest.mark.parametrize("text", ["", "yesterday", "10 parsecs", "2024-13-01"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(InvalidOption, match="isn't a time"):
        filters.moment_ns(text, 0)


def test_labels_and_times_together() -> None:
    given = [filters.parse(text, KNOWN) for text in ("until=1000", "label=a=1", "label=b", "label!=keep")]
    taken = filters.selection(given, 0)
    assert taken.takes(5, {"a": "1", "b": "x"})
    assert not taken.takes(1000 * 10**9, {"a": "1", "b": "x"})
    assert not taken.takes(5, {"a": "2", "b": "x"})
    assert not taken.takes(5, {"a": "1", "b": "x", "keep": ""})


@pytest.mark.parametrize("text", ["until", "size=3", "label="])
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(InvalidOption):
        filters.parse(text, KNOWN)


def test_filters_of_the_build_cache() -> None:
    record = CacheRecord("abc", "regular", "RUN", 1, 0, 5 * 10**9, shared=True)
    taken = {"shared": True, "private": False, "type=regular": True, "type!=regular": False, "description~=^R": True,
             "until=5": False, "until=6": True}  # fmt: skip
    assert {text: filters.cache_filter(text, 0)(record) for text in taken} == taken
    for wrong in ("colour=red", "description~=(", "?"):
        with pytest.raises(InvalidOption):
            filters.cache_filter(wrong, 0)
