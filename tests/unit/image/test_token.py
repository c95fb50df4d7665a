from __future__ import annotations

import base64
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import parse_qs

import pytest

from dockmagic.errors import RegistryError, Unauthorized
from dockmagic.image.auth import Credentials
from dockmagic.image.token import Endpoint, Tokens, anonymous
from dockmagic.image.transport import Transport
from tests.unit.image.fake_server import FakeServer, Reply

HOME = Endpoint("https://r.example", "r.example")
ANN = "Basic " + base64.b64encode(b"ann:pass").decode()


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


def bearer(server: FakeServer, scope: str = "") -> str:
    return f'Bearer realm="{server.url}/token?x=1",service="s"' + (f',scope="{scope}"' if scope else "")


@pytest.mark.parametrize("body", [b'{"token": "t"}', b'{"access_token": "t"}', b'{"token": "t", "access_token": "u"}'])
def test_an_anonymous_token_is_asked_for_and_kept(server: FakeServer, transport: Transport, body: bytes) -> None:
    server.routes = {"/token": Reply(200, body)}
    tokens = Tokens(transport, anonymous)
    assert tokens.headers(HOME, ("repository:app:pull",)) == {}
    assert tokens.renew(HOME, ("repository:app:pull",), bearer(server), {}) == {"Authorization": "Bearer t"}
    assert tokens.headers(HOME, ("repository:app:pull",)) == {"Authorization": "Bearer t"}
    assert tokens.headers(HOME, ("repository:other:pull",)) == {}
    assert server.requests[0].query == {"x": ["1"], "service": ["s"], "scope": ["repository:app:pull"]}
    assert "Authorization" not in server.requests[0].headers


def test_the_scope_of_the_challenge_is_asked_for(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/token": Reply(200, b'{"token": "t"}')}
    Tokens(transport, anonymous).renew(HOME, ("repository:app:pull",), bearer(server, "repository:app:pull,push"), {})
    assert server.requests[0].query["scope"] == ["repository:app:pull,push"]


def test_the_challenge_s_scope_and_ours_are_one(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/token": Reply(200, b'{"token": "t"}')}
    ours = ("repository:app:pull,push", "repository:base:pull")
    Tokens(transport, anonymous).renew(HOME, ours, bearer(server, "repository:app:pull"), {})
    assert server.requests[0].query["scope"] == ["repository:app:pull,push", "repository:base:pull"]


def test_a_token_is_renewed_before_it_expires(
    server: FakeServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter("abc")
    server.routes = {"/token": lambda _: Reply(200, b'{"token": "%s", "expires_in": 100}' % next(values).encode())}
    tokens = Tokens(transport, anonymous)
    now = 1000.0
    monkeypatch.setattr("dockmagic.image.token.time", SimpleNamespace(monotonic=lambda: now))
    assert tokens.renew(HOME, ("repository:app:pull",), bearer(server), {}) == {"Authorization": "Bearer a"}
    now = 1089.0
    assert tokens.headers(HOME, ("repository:app:pull",)) == {"Authorization": "Bearer a"}
    now = 1091.0
    assert tokens.headers(HOME, ("repository:app:pull",)) == {"Authorization": "Bearer b"}
    assert tokens.headers(HOME, ("repository:app:pull",)) == {"Authorization": "Bearer b"}
    assert len(server.requests) == 2


def test_what_was_refused_is_not_said_again(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/token": Reply(200, b'{"token": "t"}')}
    tokens = Tokens(transport, {"r.example": Credentials("ann", "pass")}.get)
    header = tokens.renew(HOME, ("repository:app:pull",), bearer(server), {})
    assert tokens.renew(HOME, ("repository:app:pull",), bearer(server), header) == {}
    assert tokens.renew(HOME, ("repository:b:pull",), 'Basic realm="r"', {}) == {"Authorization": ANN}
    assert tokens.renew(HOME, ("repository:b:pull",), 'Basic realm="r"', {"Authorization": ANN}) == {}


def test_of_several_ways_the_first_bearer_is_taken(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/token": Reply(200, b'{"token": "t"}')}
    challenges = f'Negotiate, Basic realm="r", {bearer(server)}, Bearer realm="https://other.example/token"'
    tokens = Tokens(transport, {"r.example": Credentials("ann", "pass")}.get)
    assert tokens.renew(HOME, ("repository:app:pull",), challenges, {}) == {"Authorization": "Bearer t"}


def test_the_narrowest_credentials_are_taken(transport: Transport) -> None:
    team_s, no_s = Credentials("team", "x"), Credentials("no", "x")
    known = {"r.example/team": team_s, "r.example/catalog": no_s, "r.example": Credentials("ann", "pass")}
    tokens = Tokens(transport, known.get)
    team = {"Authorization": "Basic " + base64.b64encode(b"team:x").decode()}
    assert tokens.renew(HOME, ("repository:team/app:pull",), "Basic", {}) == team
    assert (
        tokens.renew(HOME, ("repository:teams/app:pull", "repository:team/app:pull"), "Basic", {})["Authorization"]
        == ANN
    )
    assert tokens.renew(HOME, (), "Basic", {})["Authorization"] == ANN
    assert tokens.renew(HOME, ("registry:catalog:*",), "Basic", {})["Authorization"] == ANN


def test_credentials_go_to_the_token_server(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/token": Reply(200, b'{"token": "t"}')}
    tokens = Tokens(transport, {"r.example": Credentials("ann", "pass")}.get)
    tokens.renew(HOME, ("repository:app:pull",), bearer(server), {})
    tokens.renew(Endpoint("https://q.example", "q.example"), ("repository:app:pull",), bearer(server), {})
    assert server.requests[0].headers["Authorization"] == ANN
    assert "Authorization" not in server.requests[1].headers


def test_an_identity_token_is_exchanged(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/token": Reply(200, b'{"access_token": "t"}')}
    tokens = Tokens(transport, {"r.example": Credentials(identity_token="secret")}.get)
    assert tokens.renew(HOME, ("repository:app:pull",), bearer(server), {}) == {"Authorization": "Bearer t"}
    request = server.requests[0]
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert request.method == "POST"
    assert (form["grant_type"], form["refresh_token"], form["service"]) == ("refresh_token", "secret", "s")


def test_a_basic_challenge_takes_name_and_password(transport: Transport) -> None:
    known = Tokens(transport, {"r.example": Credentials("ann", "pass")}.get)
    assert known.renew(HOME, ("repository:app:pull",), 'Basic realm="r"', {}) == {"Authorization": ANN}
    assert Tokens(transport, anonymous).renew(HOME, ("repository:app:pull",), 'Basic realm="r"', {}) == {}
    assert known.renew(HOME, ("repository:app:pull",), "Negotiate", {"Authorization": ANN}) == {}


def test_a_token_server_s_no_is_unauthorized(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/token": Reply(401)}
    with pytest.raises(Unauthorized, match="check the name and password"):
        Tokens(transport, anonymous).renew(HOME, ("repository:app:pull",), bearer(server), {})


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b"\xff"])
def test_an_answer_without_a_token_is_an_error(server: FakeServer, transport: Transport, body: bytes) -> None:
    server.routes = {"/token": Reply(200, body)}
    with pytest.raises(RegistryError, match="holds no token"):
        Tokens(transport, anonymous).renew(HOME, ("repository:app:pull",), bearer(server), {})


def test_a_broken_token_server_is_an_error(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/token": Reply(502)}
    with pytest.raises(RegistryError, match="answered 502; try again later"):
        Tokens(transport, anonymous).renew(HOME, ("repository:app:pull",), bearer(server), {})


def test_a_token_server_in_plain_http_is_refused(transport: Transport) -> None:
    with pytest.raises(RegistryError, match="only https is safe"):
        Tokens(transport, anonymous).renew(
            HOME, ("repository:app:pull",), 'Bearer realm="http://auth.example/token"', {}
        )
