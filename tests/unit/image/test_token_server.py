from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from dockmagic.errors import RegistryError, Unauthorized
from dockmagic.image.auth import Credentials
from dockmagic.image.token_server import LIFETIME_S, Token, fetch_token, merged
from dockmagic.image.transport import Transport
from tests.unit.image.fake_server import FakeServer, Reply, Request, serving

ANN = Credentials("ann", "pass")


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


def fetch(server: FakeServer, transport: Transport, credentials: Credentials = ANN, *, offline: bool = False) -> Token:
    challenge = {"realm": f"{server.url}/token", "service": "s"}
    return fetch_token(transport, challenge, credentials, ("repository:app:pull",), offline=offline)


def test_a_resource_is_named_once() -> None:
    assert merged(()) == ()
    assert merged(("repository:a:pull,push", "repository:a:pull", "repository:b:pull")) == (
        "repository:a:pull,push",
        "repository:b:pull",
    )


@pytest.mark.parametrize(
    ("document", "left_s"),
    [
        ({}, LIFETIME_S),
        ({"expires_in": 300}, 300),
        ({"expires_in": 300, "issued_at": "no time"}, 300),
        ({"expires_in": 300, "issued_at": "2001-01-01T00:00:00"}, 300),
        ({"expires_in": 300, "issued_at": "2001-01-01T00:00:00Z"}, 300 - 40),
        ({"expires_in": 300, "issued_at": "2001-01-01T00:00:20.123456789Z"}, 300 - 20 + 0.123456),
        ({"expires_in": 300, "issued_at": "2001-01-01T00:05:00Z"}, 300),
    ],
)
def test_a_token_s_age_is_told_by_the_server_s_clock(
    server: FakeServer, transport: Transport, document: dict[str, Any], left_s: float
) -> None:
    body = json.dumps({"token": "t", **document}).encode()
    server.routes = {"/token": Reply(200, body, {"Date": "Mon, 01 Jan 2001 00:00:40 GMT"})}
    server.own_date = False
    assert fetch(server, transport).lifetime_s == pytest.approx(left_s)


def test_without_a_date_our_clock_counts(server: FakeServer, transport: Transport) -> None:
    issued = (datetime.now(UTC) - timedelta(seconds=100)).isoformat()
    server.routes = {"/token": Reply(200, json.dumps({"token": "t", "expires_in": 300, "issued_at": issued}).encode())}
    server.own_date = False
    assert fetch(server, transport).lifetime_s == pytest.approx(200, abs=10)


def test_an_identity_token_goes_by_post(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/token": Reply(200, b'{"access_token": "t", "expires_in": 9}')}
    assert fetch(server, transport, Credentials("ann", "", "identity")) == Token("t", 9)
    (request,) = server.requests
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert form == {
        "client_id": "dockmagic",
        "grant_type": "refresh_token",
        "refresh_token": "identity",
        "scope": "repository:app:pull",
        "service": "s",
    }
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_post_is_asked_by_get(server: FakeServer, transport: Transport, status: int) -> None:
    def answer(request: Request) -> Reply:
        return Reply(status) if request.method == "POST" else Reply(200, b'{"token": "t"}')

    server.routes = {"/token": answer}
    assert fetch(server, transport, Credentials("ann", "", "identity")).value == "t"
    assert [request.method for request in server.requests] == ["POST", "GET"]
    assert server.requests[1].headers["Authorization"] == "Basic " + base64.b64encode(b"ann:identity").decode()


def test_a_registry_token_needs_no_server(server: FakeServer, transport: Transport) -> None:
    assert fetch(server, transport, Credentials(registry_token="r")).value == "r"
    assert server.requests == []


def test_a_refusal_says_why(server: FakeServer, transport: Transport) -> None:
    server.routes = {"/token": Reply(401, b'{"details": "incorrect username or password"}')}
    with pytest.raises(Unauthorized, match=r"check the name and password.*: 401, incorrect username or password\)"):
        fetch(server, transport)
    assert "pass" not in str(server.requests[0].query)


def test_too_many_requests_say_how_long_to_wait(server: FakeServer, transport: Transport) -> None:
    body = b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}'
    server.routes = {"/token": Reply(429, body, {"Retry-After": "7"})}
    with pytest.raises(RegistryError, match="answered 429, slow down; try again in 7 s") as caught:
        fetch(server, transport)
    assert (caught.value.passing, caught.value.wait_s) == (True, 7.0)


def test_a_secret_follows_no_redirect_elsewhere(server: FakeServer, transport: Transport) -> None:
    with serving() as other:
        server.routes = {"/token": Reply(307, headers={"Location": f"{other.url}/token"})}
        other.routes = {"/token": Reply(200, b'{"token": "t"}')}
        assert fetch(server, transport).value == "t"
        assert "Authorization" not in other.requests[0].headers
        with pytest.raises(RegistryError, match="refused to send a secret on"):
            fetch(server, transport, Credentials(identity_token="identity"))
        assert len(other.requests) == 1
