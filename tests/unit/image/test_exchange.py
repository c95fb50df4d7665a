from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from dockmagic.errors import RegistryError, Unauthorized
from dockmagic.image.auth import Credentials
from dockmagic.image.endpoints import Endpoints
from dockmagic.image.exchange import Exchange, expect
from dockmagic.image.registries import Registries
from dockmagic.image.retry import Retry, Timeouts
from dockmagic.image.token import Endpoint
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, Reply, Request, serving

PASSING = RegistryError("busy", passing=True)
APP = Reference.parse("r.example/team/app:1")
SCOPES = ("repository:team/app:pull",)


def make(credentials: Credentials | None = None, retry: Retry | None = None) -> Exchange:
    endpoints = Endpoints(Registries(), Timeouts(2.0, 5.0))
    return Exchange(endpoints, lambda host: credentials, retry or Retry(attempts=3, base_s=0.001))


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    exchange = make()
    yield exchange
    exchange.close()


def home(server: FakeServer) -> Endpoint:
    return Endpoint(server.url, server.host)


def test_patience_ends_with_success(exchange: Exchange) -> None:
    errors, heard = [PASSING, PASSING], []

    def attempt() -> str:
        if errors:
            raise errors.pop()
        return "here"

    assert exchange.patiently(attempt, lambda error, pause_s: heard.append(pause_s)) == "here"
    assert len(heard) == 2
    assert all(0 < pause_s <= 0.002 for pause_s in heard)


def test_who_made_it_hears_of_what_nobody_else_does() -> None:
    heard: list[float] = []
    retry = Retry(attempts=2, base_s=0.001)
    endpoints = Endpoints(Registries(), Timeouts(2.0, 5.0))
    exchange = Exchange(endpoints, lambda host: None, retry, on_retry=lambda error, pause_s: heard.append(pause_s))
    exchange.wait_after(1, PASSING)
    exchange.wait_after(1, PASSING, lambda error, pause_s: None)
    assert len(heard) == 1


def test_patience_ends_with_the_last_error(exchange: Exchange) -> None:
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        raise RegistryError(f"busy {len(tries)}", passing=True)

    with pytest.raises(RegistryError, match="busy 3"):
        exchange.patiently(attempt)
    assert len(tries) == 3


def test_what_another_try_doesn_t_mend_is_raised_at_once(exchange: Exchange) -> None:
    def attempt() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exchange.patiently(attempt)
    with pytest.raises(RegistryError, match="no"):
        exchange.wait_after(1, RegistryError("no"))


def test_who_waits_for_another_try_can_be_called_off() -> None:
    exchange = make(retry=Retry(attempts=3, base_s=60.0))
    waiting = threading.Event()

    def call_off() -> None:
        waiting.wait(10)
        exchange.cancel()

    timer = threading.Thread(target=call_off)
    timer.start()
    began_s = time.monotonic()
    with pytest.raises(RegistryError, match="busy"):
        exchange.wait_after(1, PASSING, lambda error, pause_s: waiting.set())
    assert time.monotonic() - began_s < 10
    timer.join()


def test_nothing_begins_after_it_was_called_off_until_it_is_taken_up_again(
    exchange: Exchange, server: FakeServer
) -> None:
    server.routes = {"/a": Reply(200, b"a")}
    exchange.cancel()
    with pytest.raises(RegistryError, match="given up"):
        exchange.send(home(server), SCOPES, "GET", f"{server.url}/a", {})
    assert server.requests == []
    exchange.resume()
    with exchange.send(home(server), SCOPES, "GET", f"{server.url}/a", {}) as answer:
        assert answer.read(10) == b"a"


def test_an_answer_that_is_awaited_is_broken_off_from_another_thread(exchange: Exchange, server: FakeServer) -> None:
    server.keep_open = True
    server.routes = {"/a": Reply(200, b"a", length=10)}
    threading.Timer(0.1, exchange.cancel).start()
    with exchange.send(home(server), SCOPES, "GET", f"{server.url}/a", {}) as answer:
        with pytest.raises(RegistryError):
            answer.read(10)


def test_a_challenge_is_answered_once(server: FakeServer) -> None:
    server.routes = {"/a": Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})}
    exchange = make(Credentials("ann", "pass"))
    with exchange.send(home(server), SCOPES, "GET", f"{server.url}/a", {}) as answer:
        assert answer.status == 401
    assert ["Authorization" in request.headers for request in server.requests] == [False, True]
    exchange.close()


def test_a_secret_that_is_refused_later_is_renewed(server: FakeServer) -> None:
    """As a token that has run out."""
    tokens = iter(["one", "two"])
    valid = ["Bearer one"]

    def answer(request: Request) -> Reply:
        if request.headers.get("Authorization") == valid[0]:
            return Reply(200, b"here")
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{server.url}/token"'})

    server.routes = {"/a": answer, "/token": lambda request: Reply(200, f'{{"token": "{next(tokens)}"}}'.encode())}
    exchange = make()
    for secret in ("Bearer one", "Bearer two"):
        valid[0] = secret
        with exchange.send(home(server), SCOPES, "GET", f"{server.url}/a", {}) as reply:
            assert reply.status == 200
    assert server.paths().count("/token") == 2
    exchange.close()


def test_no_other_origin_gets_a_secret(server: FakeServer) -> None:
    exchange = make(Credentials("ann", "pass"))
    with serving() as other:
        other.routes = {"/a": Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})}
        with exchange.send(home(server), SCOPES, "GET", f"{other.url}/a", {}) as answer:
            assert answer.status == 401
        assert ["Authorization" in request.headers for request in other.requests] == [False]
    exchange.close()


@pytest.mark.parametrize(
    ("reply", "words", "passing", "wait_s"),
    [
        (Reply(429, headers={"Retry-After": "7"}), "asks to wait 7 s", True, 7.0),
        (Reply(503, headers={"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}), "trouble of its own", True, 0.0),
        (Reply(503, headers={"Retry-After": "soon"}), "trouble of its own", True, None),
        (Reply(429, headers={"Retry-After": "9" * 8}), "asks to wait 99999999 s", True, 99999999.0),
        (Reply(429, headers={"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0"}), "100 in 6 h", False, None),
        (Reply(418, b"x", length=50), "refused the thing", False, None),
    ],
)
def test_what_a_refusal_means(
    exchange: Exchange, server: FakeServer, reply: Reply, words: str, passing: bool, wait_s: float | None
) -> None:
    server.routes = {"/a": reply}
    with pytest.raises(RegistryError, match=words) as caught:
        expect(exchange.send(home(server), SCOPES, "GET", f"{server.url}/a", {}), (200,), APP, "thing")
    assert (caught.value.passing, caught.value.wait_s) == (passing, wait_s)


def test_a_token_server_that_fails_leaves_no_answer_open(exchange: Exchange, server: FakeServer) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'}
    server.routes = {"/a": Reply(401, b"x" * 100_000, challenge), "/token": Reply(500)}
    with pytest.raises(RegistryError, match="the token server answered 500"):
        exchange.send(home(server), SCOPES, "GET", f"{server.url}/a", {})


def test_a_registry_that_never_has_enough_is_asked_twice(exchange: Exchange, server: FakeServer) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="{server.url}/token"'}
    server.routes = {"/a": Reply(401, headers=challenge), "/token": Reply(200, b'{"token": "t"}')}
    answer = exchange.send(home(server), SCOPES, "GET", f"{server.url}/a", {})
    with pytest.raises(Unauthorized, match=r"pull access denied for .*/app, repository does not exist or may require"):
        expect(answer, (200,), APP, "thing")
    assert server.paths() == ["/a", "/token", "/a"]


def test_a_password_that_was_refused_is_not_sent_again(server: FakeServer) -> None:
    server.routes = {"/a": Reply(401, headers={"WWW-Authenticate": "Basic"})}
    with closing(make(Credentials("ann", "pass"))) as exchange:
        for _ in range(2):
            exchange.send(home(server), SCOPES, "GET", f"{server.url}/a", {}).close()
    assert len(server.requests) == 3


def test_a_challenge_from_where_a_redirect_led_is_not_answered(server: FakeServer) -> None:
    with serving() as other, closing(make(Credentials("ann", "pass"))) as exchange:
        server.routes = {"/a": Reply(307, headers={"Location": f"{other.url}/x"})}
        other.routes = {"/x": Reply(401, headers={"WWW-Authenticate": "Basic"})}
        exchange.send(home(server), SCOPES, "GET", f"{server.url}/a", {}).close()
        assert ["Authorization" in request.headers for request in other.requests] == [False]
