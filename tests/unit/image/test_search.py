from __future__ import annotations

import json

import pytest

from dockmagic.errors import InvalidManifest, InvalidOption, RegistryError
from dockmagic.image import search as module
from dockmagic.image.registry import RegistryClient
from dockmagic.image.search import Found, search
from tests.unit.image.fake_server import FakeServer, Reply

RESULTS = {
    "num_results": 2,
    "query": "box",
    "results": [
        {"name": "busybox", "description": "Busy", "star_count": 9, "is_official": True, "is_automated": False},
        {"name": "me/box", "description": None, "star_count": 0, "is_official": False},
    ],
}


def test_docker_hub_searches(server: FakeServer, client: RegistryClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.HUB_SEARCH == "https://index.docker.io"
    monkeypatch.setattr(module, "HUB_SEARCH", server.url)
    server.routes["/v1/search"] = Reply(200, json.dumps(RESULTS).encode())
    assert search(client, "library/box", 7) == (
        Found("busybox", "Busy", stars=9, official=True),
        Found("me/box"),
    )
    assert server.requests[-1].query == {"q": ["box"], "n": ["7"]}
    assert len(search(client, "box", 1)) == 1
    server.routes["/v1/search"] = Reply(404)
    with pytest.raises(RegistryError, match="search for box not found"):
        search(client, "box")
    assert "/v2/_catalog" not in server.paths()


def test_another_registry_searches_or_lists_what_it_has(server: FakeServer, client: RegistryClient) -> None:
    server.routes["/v1/search"] = Reply(200, json.dumps(RESULTS).encode())
    assert search(client, f"{server.host}/box")[1].name == f"{server.host}/me/box"
    del server.routes["/v1/search"]
    server.routes["/v2/_catalog"] = Reply(200, b'{"repositories": ["box", "team/boxes", "other"]}')
    names = [found.name for found in search(client, f"{server.host}/Box")]
    assert names == [f"{server.host}/box", f"{server.host}/team/boxes"]
    assert len(search(client, f"{server.host}/")) == 3


def test_what_can_t_be_searched(server: FakeServer, client: RegistryClient) -> None:
    for limit in (0, 101):
        with pytest.raises(InvalidOption, match=rf"limit {limit} is outside the range of \[1, 100\]"):
            search(client, "box", limit)
    with pytest.raises(InvalidOption, match="is missing"):
        search(client, "")
    server.routes["/v1/search"] = Reply(200, b'{"results": [{}]}')
    with pytest.raises(InvalidManifest, match=r"results\[0\]\.name"):
        search(client, f"{server.host}/box")
