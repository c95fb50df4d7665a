from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from dockmagic.errors import RegistryError, Unauthorized
from dockmagic.image.auth import Credentials
from dockmagic.image.endpoints import Endpoints
from dockmagic.image.exchange import Exchange, expect
from dockmagic.image.registries import Registries
from dockmagic.image.retry import Retry
from dockmagic.image.token import Endpoint, scope
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, Reply, serving

SCOPES = (scope("app"),)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    known = {"127.0.0.1": Credentials("ann", "pass")}
    exchange = Exchange(Endpoints(Registries()), lambda name: known.get(name.partition(":")[0]), Retry())
    with closing(exchange):
        yield exchange


def get(exchange: Exchange, server: FakeServer, status: int = 200) -> None:
    endpoint = Endpoint(server.url, server.host)
    answer = exchange.send(endpoint, SCOPES, "GET", f"{server.url}/v2/app/x", {})
    expect(answer, (status,), Reference.parse(f"{server.host}/app"), "x").close()


def test_a_registry_that_never_has_enough_is_asked_twice(server: FakeServer, exchange: Exchange) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'}
    server.routes = {"/v2/app/x": Reply(401, headers=challenge), "/token": Reply(200, b'{"token": "t"}')}
    with pytest.raises(Unauthorized, match=r"pull access denied for .*/app, repository does not exist or may require"):
        get(exchange, server)
    assert server.paths() == ["/v2/app/x", "/token", "/v2/app/x"]


def test_a_password_that_was_refused_is_not_sent_again(server: FakeServer, exchange: Exchange) -> None:
    server.routes = {"/v2/app/x": Reply(401, headers={"WWW-Authenticate": "Basic"})}
    for _ in range(2):
        with pytest.raises(Unauthorized):
            get(exchange, server)
    assert len(server.requests) == 3


def test_a_token_server_that_fails_leaves_no_answer_open(server: FakeServer, exchange: Exchange) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'}
    server.routes = {"/v2/app/x": Reply(401, b"x" * 100_000, challenge), "/token": Reply(500)}
    with pytest.raises(RegistryError, match="the token server answered 500"):
        get(exchange, server)


def test_another_origin_s_challenge_is_not_answered(server: FakeServer, exchange: Exchange) -> None:
    with serving() as other:
        server.routes = {"/v2/app/x": Reply(307, headers={"Location": f"{other.url}/x"})}
        other.routes = {"/x": Reply(401, headers={"WWW-Authenticate": "Basic"})}
        with pytest.raises(Unauthorized):
            get(exchange, server)
        assert "Authorization" not in other.requests[0].headers
        assert len(other.requests) == 1
