from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from dockmagic.errors import RegistryError
from dockmagic.image.retry import Timeouts
from dockmagic.image.transport import Transport
from tests.unit.image.fake_server import FakeServer, Reply, nobody_listens, serving


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport(Timeouts(2, 2))
    yield transport
    transport.close()


def get(transport: Transport, url: str, authorization: str = "") -> tuple[int, bytes]:
    headers = {"Authorization": authorization} if authorization else {}
    with transport.request("GET", url, headers) as answer:
        return answer.status, answer.read(1000)


def test_a_redirect_to_the_same_origin_keeps_the_secret(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/a": Reply(307, headers={"Location": "/b"}), "/b": Reply(200, b"here")}
    assert get(transport, f"{server.url}/a", "Bearer s") == (200, b"here")
    assert server.requests[1].headers["Authorization"] == "Bearer s"


def test_a_redirect_elsewhere_loses_the_secret(server: FakeServer, transport: Transport) -> None:
    with serving() as other:
        server.routes = {"/a": Reply(307, headers={"Location": f"{other.url}/b"}), "/c": Reply(200, b"back")}
        other.routes = {"/b": Reply(302, headers={"Location": f"{server.url}/c"})}
        assert get(transport, f"{server.url}/a", "Bearer s") == (200, b"back")
    assert server.requests[0].headers["Authorization"] == "Bearer s"
    assert "Authorization" not in other.requests[0].headers
    assert "Authorization" not in server.requests[1].headers


def test_a_redirect_to_plain_http_elsewhere_is_refused(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/a": Reply(302, headers={"Location": "http://blobs.example/x"})}
    with pytest.raises(RegistryError, match=r"http://blobs\.example/x: refused"):
        get(transport, f"{server.url}/a")


def test_a_redirect_to_no_url_is_refused(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/a": Reply(302, headers={"Location": "http://[::1"})}
    with pytest.raises(RegistryError, match="a redirect to no URL"):
        get(transport, f"{server.url}/a")


def test_redirects_end(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/a": Reply(302, headers={"Location": "/a"})}
    with pytest.raises(RegistryError, match="more than 5 redirects"):
        get(transport, f"{server.url}/a")


def test_neither_netrc_nor_cookies_nor_proxies_are_used(
    server: FakeServer, transport: Transport, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server.routes = {"/a": Reply(200, headers={"Set-Cookie": "session=1"})}
    get(transport, f"{server.url}/a")
    get(transport, f"{server.url}/a")
    for request in server.requests:
        assert not {"Authorization", "Cookie"} & request.headers.keys()


def test_nobody_listening_says_so(transport: Transport) -> None:
    with nobody_listens() as host:
        with pytest.raises(RegistryError, match=r"can't be reached \(Connection refused\); check the name") as caught:
            get(transport, f"http://{host}/a")
    assert (caught.value.method, caught.value.url, caught.value.status) == ("GET", f"http://{host}/a", 0)


def test_silence_has_an_end(server: FakeServer) -> None:
    transport = Transport(Timeouts(2, 0.2))
    server.routes = {"/a": Reply(200, b"short", length=10)}
    server.keep_open = True
    with pytest.raises(RegistryError, match="no answer in time"):
        get(transport, f"{server.url}/a")
    transport.close()


def test_a_body_cut_off_is_noticed(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/a": Reply(200, b"short", length=10)}
    with pytest.raises(RegistryError, match="broke off"):
        get(transport, f"{server.url}/a")


def test_a_body_too_long_is_not_read(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/a": Reply(200, b"x" * 2000)}
    with pytest.raises(RegistryError, match="longer than the 1000 bytes"):
        get(transport, f"{server.url}/a")


def test_plain_http_where_it_is_asked_for(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy stands in for the host."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.routes = {"/x": Reply(200, b"plain")}
    with closing(Transport(plain_http=True)) as transport:
        assert get(transport, "http://files.example/x") == (200, b"plain")
        with pytest.raises(RegistryError, match="neither"):
            get(transport, "ftp://files.example/x")
