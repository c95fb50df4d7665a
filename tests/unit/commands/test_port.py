"""The command port, and ports in ps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dockmagic.commands.port import Ports
from dockmagic.errors import InvalidOption, NotFound
from dockmagic.oci.options import RunOptions
from dockmagic.oci.ports import PortBinding, Published
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeContainer, FakeContainers, FakeEngine, FakeImage, FakeImages, State

PUBLISHED = (
    Published(443, "tcp", "127.0.0.1", 49000),
    Published(80, "tcp", "0.0.0.0", 8080),
    Published(80, "tcp", "::", 8080),
    Published(53, "udp", "0.0.0.0", 53),
)
OPTIONS = RunOptions(publish=(PortBinding(80), PortBinding(53, "udp")), expose=("53/udp", "80/tcp", "90/tcp"))


def engine() -> FakeEngine:
    """A container with ports, and one without."""
    row = SimpleNamespace(image_id=FakeImage().id, options=OPTIONS)
    web = FakeContainer("web", "aa" * 32, published=PUBLISHED, row=row)
    plain, over = FakeContainer("plain", "bb" * 32), FakeContainer("over", "cc" * 32, row=row, now=State("exited"))
    return FakeEngine(FakeContainers({each.name: each for each in (web, plain, over)}), FakeImages({}))


def test_all_ports_by_their_numbers() -> None:
    found = call(engine(), "port", "web")
    assert isinstance(found, Ports)
    assert str(found).splitlines() == [
        "53/udp -> 0.0.0.0:53",
        "80/tcp -> 0.0.0.0:8080",
        "80/tcp -> [::]:8080",
        "443/tcp -> 127.0.0.1:49000",
    ]
    assert found._repr_html_().count("<a ") == 2
    assert str(call(engine(), "port", "plain")) == ""


@pytest.mark.parametrize("port", ["80", "80/tcp", "80/TCP"])
def test_one_port(port: str) -> None:
    assert str(call(engine(), "port", "web", port)).splitlines() == ["0.0.0.0:8080", "[::]:8080"]


def test_a_port_that_isn_t_published() -> None:
    with pytest.raises(NotFound, match="no such public port: 80/udp published for web"):
        call(engine(), "port", "web", "80/udp")
    with pytest.raises(InvalidOption, match="invalid port: x"):
        call(engine(), "port", "web", "x")


def test_ps_shows_them_while_the_container_runs() -> None:
    rows = str(call(engine(), "ps", "-a", "--format", "{{.Names}}: {{.Ports}}")).splitlines()
    web = "0.0.0.0:53->53/udp, 90/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 127.0.0.1:49000->443/tcp"
    assert sorted(rows) == ["over: ", "plain: ", f"web: {web}"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("publish=80", "over web"),
        ("publish=80/udp", ""),
        ("publish=53/udp", "over web"),
        ("publish=90", ""),
        ("publish=70-85", "over web"),
        ("expose=90", "over web"),
        ("expose=53", ""),
        ("expose=53/udp", "over web"),
    ],
)
def test_filters(words: str, expected: str) -> None:
    found = call(engine(), "ps", "-a", "--format", "{{.Names}}", "-f", words)
    assert sorted(str(found).split()) == expected.split()


def test_what_is_no_port_in_a_filter() -> None:
    with pytest.raises(InvalidOption, match="invalid filter 'publish=x'"):
        call(engine(), "ps", "-f", "publish=x")
