"""Rates and latencies of links, as the flags give them."""

from __future__ import annotations

import pytest

from dockmagic.commands.run_shape import latency_us, rate_bits
from dockmagic.errors import InvalidOption


@pytest.mark.parametrize(
    ("text", "bits"),
    [("10mbit", 10**7), ("500kbit", 500_000), ("1gbit", 10**9), ("8bit", 8), ("1mbps", 8 * 10**6), ("1.5KBPS", 12_000)],
)
def test_rates_are_in_the_units_of_tc(text: str, bits: int) -> None:
    assert rate_bits(text) == bits


@pytest.mark.parametrize("text", ["10", "mbit", "-1mbit", "10mb", "1bit", "0mbit", "10 mbit"])
def test_other_rates_are_refused_with_the_units(text: str) -> None:
    with pytest.raises(InvalidOption, match="isn't a rate; write 500kbit"):
        rate_bits(text)


def test_latencies_are_durations_of_at_most_a_minute() -> None:
    assert [latency_us(text) for text in ("50ms", "1s", "0")] == [50_000, 1_000_000, 0]
    with pytest.raises(InvalidOption, match="more than a minute"):
        latency_us("2m")
