from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.image.endpoints import HUB_URL, Endpoints
from dockmagic.image.registries import Registries
from dockmagic.image.retry import Timeouts
from dockmagic.image.token import Endpoint
from dockmagic.image.transport import Transport
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, nobody_listens

QUICK = Timeouts(2.0, 2.0)


def readable(registries: Registries, name: str) -> tuple[Endpoint, ...]:
    endpoints = Endpoints(registries, QUICK)
    transport = endpoints.transport()
    try:
        return endpoints.readable(Reference.parse(name), transport)
    finally:
        transport.close()


def test_mirrors_come_first_in_their_order_and_the_registry_last() -> None:
    registries = Registries({"docker.io": ("https://one.example/", "https://two.example:444/cache")})
    assert readable(registries, "busybox") == (
        Endpoint("https://one.example", "one.example", "docker.io"),
        Endpoint("https://two.example:444/cache", "two.example:444", "docker.io"),
        Endpoint(HUB_URL, "docker.io"),
    )


def test_another_registry_has_mirrors_of_its_own() -> None:
    registries = Registries({"docker.io": ("https://one.example",), "r.example": ("https://two.example",)})
    assert [each.base for each in readable(registries, "r.example/app")] == ["https://two.example", "https://r.example"]
    assert [each.base for each in readable(registries, "q.example/app")] == ["https://q.example"]


def test_tls_is_asked_for_once_where_it_isn_t_a_must(server: FakeServer) -> None:
    endpoints = Endpoints(Registries(), QUICK)
    transport = endpoints.transport()
    asked: list[str] = []
    ask, lock = transport.request, threading.Lock()

    class Counting(Transport):
        def request(self, method: str, url: str, headers: object, *more: object) -> object:  # type: ignore[override]
            with lock:
                asked.append(url)
            return ask(method, url, {})

    counting = Counting()
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda _: endpoints.home(server.host, counting), range(8)))
    counting.close()
    transport.close()
    assert found == {Endpoint(server.url, server.host)}
    assert asked == [f"https://{server.host}/v2/"]


def test_a_host_that_isn_t_there_is_no_reason_to_speak_plainly_elsewhere() -> None:
    with nobody_listens() as host:
        assert readable(Registries(), f"{host}/app")[0].base == f"http://{host}"
    assert readable(Registries(), "r.example:5000/app")[0].base == "https://r.example:5000"


def test_certificates_make_tls_a_must(tmp_path: Path) -> None:
    """Also on this machine: who names an authority wants it to be asked."""
    (tmp_path / "ca.crt").write_text("")
    with nobody_listens() as host:
        registries = Registries(certificates={host: str(tmp_path)})
        assert readable(registries, f"{host}/app")[0].base == f"https://{host}"


def test_a_directory_of_certificates_that_isn_t_there_is_named(tmp_path: Path) -> None:
    registries = Registries(certificates={"127.0.0.1:5": str(tmp_path / "none")})
    with pytest.raises(InvalidOption, match=r"certificates\.127\.0\.0\.1:5: there is no directory"):
        readable(registries, "127.0.0.1:5/app")
