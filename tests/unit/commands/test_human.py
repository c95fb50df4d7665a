from __future__ import annotations

import pytest

from dockmagic.commands.human import ago, binary_size, decimal_size, duration, short_id


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (4_268_123, "4.27MB"), (142_000_000, "142MB"), (999_900, "1000kB"), (1.2e9, "1.2GB")],
)
def test_decimal_sizes(size: float, text: str) -> None:
    assert decimal_size(size) == text


@pytest.mark.parametrize(("size", "text"), [(512, "512B"), (64 << 20, "64MiB"), (1_300_000, "1.24MiB")])
def test_binary_sizes(size: float, text: str) -> None:
    assert binary_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "Less than a second"),
        (1, "1 second"),
        (47, "47 seconds"),
        (61, "About a minute"),
        (150, "2 minutes"),
        (3600, "About an hour"),
        (3 * 3600, "3 hours"),
        (47 * 3600, "47 hours"),
        (3 * 86400, "3 days"),
        (15 * 86400, "2 weeks"),
        (61 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_durations_in_dockers_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_times_ago() -> None:
    assert ago(150) == "2 minutes ago"
    assert ago(-5) == "Less than a second ago"


def test_short_ids() -> None:
    assert short_id("sha256:" + "ab" * 32) == "abababababab"
