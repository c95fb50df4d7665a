from __future__ import annotations

import pytest

from dockmagic.dockerfile.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("0s", 0),
        ("1ns", 1),
        ("1us", 1000),
        ("1µs", 1000),
        ("1μs", 1000),
        ("300ms", 300_000_000),
        ("30s", 30_000_000_000),
        ("1m30s", 90_000_000_000),
        ("1h", 3_600_000_000_000),
        ("1h2m3.5s", 3_723_500_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("-1s", -1_000_000_000),
        ("+1s", 1_000_000_000),
        ("0.3333333333333333333s", 333_333_333),
    ],
)
def test_durations(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "1", "s", "1x", "1s ", " 1s", "1 s", ".s", "1s1", "--1s", "1e3s", "٣s", "1" * 50 + "s"]
)
def test_texts_that_are_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid duration .*; expected a form like 30s"):
        parse_duration(text)


def test_a_duration_has_an_end() -> None:
    with pytest.raises(ValueError, match="it is too long"):
        parse_duration("9999999h")
