"""Links to published ports."""

from __future__ import annotations

import pytest

from dockmagic.oci.ports import Published
from dockmagic.runtime.ports.link import PREFIX, html_links, link

HUB = {PREFIX: "/user/ann/"}


@pytest.mark.parametrize(
    ("address", "environment", "url"),
    [
        ("0.0.0.0", {}, "http://localhost:8080"),
        ("::", {}, "http://localhost:8080"),
        ("::1", {}, "http://localhost:8080"),
        ("192.0.2.1", {}, "http://192.0.2.1:8080"),
        ("2001:db8::1", {}, "http://[2001:db8::1]:8080"),
        ("0.0.0.0", HUB, "/user/ann/proxy/8080/"),
        ("192.0.2.1", HUB, "/user/ann/proxy/192.0.2.1:8080/"),
    ],
)
def test_where_a_port_is(address: str, environment: dict[str, str], url: str) -> None:
    assert link(Published(80, "tcp", address, 8080), environment) == url


def test_each_place_once_and_only_streams() -> None:
    ports = [
        Published(80, "tcp", "0.0.0.0", 8080),
        Published(80, "tcp", "::", 8080),
        Published(53, "udp", "0.0.0.0", 53),
    ]
    assert html_links(ports, {}) == [
        '<a href="http://localhost:8080" target="_blank">http://localhost:8080</a> → 80/tcp'
    ]
