from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.errors import InvalidManifest, InvalidOption, RegistryError
from dockmagic.image import pages
from dockmagic.image.auth import Credentials
from dockmagic.image.registries import Registries
from dockmagic.image.registry import RegistryClient
from dockmagic.image.retry import Retry
from dockmagic.image.tags import catalog, list_tags, natural
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, Reply, Request

QUICK = Retry(attempts=2, base_s=0.001)
PATH = "/v2/team/app/tags/list"


def app(server: FakeServer) -> Reference:
    return Reference.parse(f"{server.host}/team/app")


def listed(*names: str, link: str = "", key: str = "tags") -> Reply:
    headers = {"Link": link} if link else {}
    return Reply(200, json.dumps({"name": "team/app", key: names}).encode(), headers)


@pytest.mark.parametrize("prefix", ["", "{url}"])
def test_pages_are_followed_by_relative_and_absolute_links(
    server: FakeServer, client: RegistryClient, prefix: str
) -> None:
    base = prefix.format(url=server.url)

    def answer(request: Request) -> Reply:
        number = int(request.query.get("last", ["0"])[0])
        link = f'<{base}{PATH}?n=1000&last={number + 1}>; rel="next"' if number < 3 else ""
        return listed(f"1.{12 - number}", f"1.{number}", link=link)

    server.routes[PATH] = answer
    assert list_tags(client, app(server)) == ("1.0", "1.1", "1.2", "1.3", "1.9", "1.10", "1.11", "1.12")
    assert [request.query.get("last") for request in server.requests] == [None, ["1"], ["2"], ["3"]]
    assert all(request.query["n"] == ["1000"] for request in server.requests)


def test_a_page_that_fails_is_asked_for_again(server: FakeServer, client: RegistryClient) -> None:
    failures = [Reply(503)]

    def answer(request: Request) -> Reply:
        if "last" not in request.query:
            return listed("a", link=f'<{PATH}?last=a>; rel="next"')
        return failures.pop() if failures else listed("b")

    server.routes[PATH] = answer
    assert list_tags(client, app(server)) == ("a", "b")


@pytest.mark.parametrize("step", [0, 1])
def test_a_list_without_an_end_is_an_error(
    server: FakeServer, client: RegistryClient, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Both one that goes in a circle and one whose links are always new."""
    monkeypatch.setattr(pages, "MOST_PAGES", 10)

    def answer(request: Request) -> Reply:
        number = int(request.query.get("last", ["0"])[0])
        return listed("a", link=f'<{PATH}?last={number + step}>; rel="next"')

    server.routes[PATH] = answer
    with pytest.raises(RegistryError, match=r"the list of the tags of .*/team/app has no end"):
        list_tags(client, app(server))
    assert len(server.requests) <= 12


def test_huge_lists_are_refused(server: FakeServer, client: RegistryClient, monkeypatch: pytest.MonkeyPatch) -> None:
    server.routes[PATH] = Reply(200, b" " * (5 << 20))
    with pytest.raises(RegistryError, match="longer than"):
        list_tags(client, app(server))
    monkeypatch.setattr(pages, "MOST_NAMES", 10)
    server.routes[PATH] = listed(*(f"v{number}" for number in range(11)))
    with pytest.raises(RegistryError, match="more than 10 names"):
        list_tags(client, app(server))


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"tags": "a"}', b'{"tags": [1]}'])
def test_what_is_no_list_is_refused(server: FakeServer, client: RegistryClient, body: bytes) -> None:
    server.routes[PATH] = Reply(200, body)
    with pytest.raises(InvalidManifest, match="list of tags"):
        list_tags(client, app(server))


def test_a_repository_without_tags(server: FakeServer, client: RegistryClient) -> None:
    server.routes[PATH] = Reply(200, b'{"name": "team/app", "tags": null}')
    assert list_tags(client, app(server)) == ()
    server.routes[PATH] = Reply(404, b'{"errors": [{"code": "NAME_UNKNOWN"}]}')
    with pytest.raises(RegistryError, match="repository does not exist or may require 'docker login'"):
        list_tags(client, app(server))


def test_a_mirror_is_asked_first_and_told_whom_it_stands_in_for(server: FakeServer) -> None:
    server.routes["/v2/library/app/tags/list"] = listed("1")
    client = RegistryClient(registries=Registries({"docker.io": (server.url,)}), retry=QUICK)
    assert list_tags(client, Reference.parse("app")) == ("1",)
    assert server.requests[0].query["ns"] == ["docker.io"]
    client.close()


def test_a_warning_is_passed_on_once(server: FakeServer) -> None:
    heard: list[tuple[str, str]] = []
    warning = {"Warning": '299 - "moving to another place"'}
    first = Reply(200, b'{"tags": ["a"]}', warning | {"Link": f'<{PATH}?last=a>; rel="next"'})
    server.routes[PATH] = lambda request: first if "last" not in request.query else Reply(200, b"{}", warning)
    client = RegistryClient(retry=QUICK, on_warning=lambda registry, message: heard.append((registry, message)))
    assert list_tags(client, app(server)) == ("a",)
    assert heard == [(server.host, "moving to another place")]
    client.close()


def test_the_catalog_asks_for_its_own_right(server: FakeServer) -> None:
    def answer(request: Request) -> Reply:
        if request.headers.get("Authorization") == "Bearer good":
            return listed("a", "b", key="repositories")
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{server.url}/token",service="s"'})

    server.routes["/v2/_catalog"] = answer
    server.routes["/token"] = Reply(200, b'{"token": "good"}')
    client = RegistryClient(credentials_of=lambda registry: Credentials("me", "secret"), retry=QUICK)
    assert catalog(client, server.host) == ("a", "b")
    asked = next(request for request in server.requests if request.path == "/token")
    assert asked.query["scope"] == ["registry:catalog:*"]
    client.close()


def test_docker_hub_has_no_catalog(client: RegistryClient) -> None:
    with pytest.raises(InvalidOption, match="docker search"):
        catalog(client, "docker.io")


@given(st.lists(st.text()))
def test_any_texts_can_be_sorted(names: list[str]) -> None:
    assert sorted(sorted(names, key=natural)) == sorted(names)


@given(st.lists(st.integers(0, 10**30)))
def test_numbers_are_sorted_as_numbers(numbers: list[int]) -> None:
    assert sorted((f"v{number}" for number in numbers), key=natural) == [f"v{number}" for number in sorted(numbers)]
