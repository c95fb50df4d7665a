from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dockmagic.commands.catalogue import find
from dockmagic.commands.registry import request_line
from dockmagic.errors import InvalidOption, NotFound
from dockmagic.events import RegistryRequest
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeEngine, FakeRegistries, FakeServer

REQUEST = RegistryRequest("10.0.0.7", "skopeo/1.9 (x)", "ada", "GET", "/v2/a\x1b[2J", 200, 0, 2_140_160, 0.0123)
PLAIN: dict[str, Any] = {
    "directory": None,
    "from_store": False,
    "read_only": False,
    "delete": True,
    "auth": "",
    "certificate": None,
    "key": None,
}


def test_flags_are_the_services_arguments() -> None:
    engine = FakeEngine()
    call(engine, "registry", "serve")
    line = "-p 0 --bind 0.0.0.0 --store --read-only --no-delete --auth a:b --tls-cert c --tls-key k --directory d"
    call(engine, "registry", "serve", *line.split())
    given = {"directory": Path("d"), "from_store": True, "read_only": True, "delete": False, "auth": "a:b"}
    assert engine.registry.calls == [
        (5000, "127.0.0.1", PLAIN),
        (0, "0.0.0.0", PLAIN | given | {"certificate": Path("c"), "key": Path("k")}),
    ]
    with pytest.raises(InvalidOption, match="-p"):
        call(engine, "registry", "serve", "-p", "x")


def test_what_is_served_says_where() -> None:
    server = FakeServer(warning="beware", requests=(REQUEST,))
    served = call(FakeEngine(registry=FakeRegistries((server,))), "registry", "serve")
    assert str(served).splitlines() == [
        "a registry is served at http://127.0.0.1:5000: images are called 127.0.0.1:5000/NAME:TAG",
        "WARNING: beware",
    ]
    assert "<pre" in served._repr_html_()
    assert (served.host, served.url, served.requests) == ("127.0.0.1:5000", "http://127.0.0.1:5000", (REQUEST,))
    served.stop()
    assert str(served).startswith("a registry was served at")


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_terminal_sees_requests_until_the_end(interrupted: bool) -> None:
    server = FakeServer(requests=(REQUEST,), interrupted=interrupted)
    console = FakeConsole()
    served = call(FakeEngine(registry=FakeRegistries((server,))), "registry", "serve", console=console)
    find(["registry", "serve"])[0].show(served, console)
    first, second = console.streams["stderr"].decode().splitlines()
    assert first.startswith("a registry is served at")
    assert "GET /v2/a" in second
    assert server.stopped


def test_a_request_on_one_line() -> None:
    line = request_line(REQUEST, datetime(2024, 1, 1, 9, 5, 7))
    assert line.startswith("09:05:07 10.0.0.7 ada skopeo/1.9 GET /v2/a")
    assert line.endswith(" 200 0B in, 2.14MB out, 12 ms")
    assert "\x1b" not in line
    broken = RegistryRequest("::1", "", "", "PATCH", "/", 0, 5, 0, 0, "X: why")
    assert request_line(broken, datetime(2024, 1, 1)) == "00:00:00 ::1 PATCH / broken off 5B in, 0B out, 0 ms; X: why"


def test_stop_ends_all_or_some() -> None:
    servers = (FakeServer(1), FakeServer(2), FakeServer(3))
    engine = FakeEngine(registry=FakeRegistries(servers))
    assert call(engine, "registry", "stop", "2") == ("127.0.0.1:2",)
    assert [server.stopped for server in servers] == [False, True, False]
    with pytest.raises(NotFound, match="no such registry: on port 9; one that a terminal serves ends there"):
        call(engine, "registry", "stop", "1", "9")
    assert not servers[0].stopped
    assert call(engine, "registry", "stop") == ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")
