from __future__ import annotations

from collections.abc import Iterator

import pytest

from dockmagic.errors import RegistryError, Unauthorized
from dockmagic.image.auth import Credentials
from dockmagic.image.deletion import delete
from dockmagic.image.registries import Registries
from dockmagic.image.registry import RegistryClient
from dockmagic.image.retry import Retry
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, Reply, Request, serving

DIGEST = Digest.of(b"")


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    client = RegistryClient(
        credentials_of=lambda registry: Credentials("me", "secret"), retry=Retry(attempts=2, base_s=0.001)
    )
    yield client
    client.close()


@pytest.mark.parametrize("identifier", [":1", f"@{DIGEST}"])
def test_a_tag_or_a_manifest_is_deleted(server: FakeServer, client: RegistryClient, identifier: str) -> None:
    path = f"/v2/app/manifests/{identifier[1:]}"
    server.routes[path] = Reply(202)
    delete(client, Reference.parse(f"{server.host}/app{identifier}"))
    assert [(request.method, request.path) for request in server.requests] == [("DELETE", path)]


def test_the_right_to_delete_is_asked_for(server: FakeServer, client: RegistryClient) -> None:
    def answer(request: Request) -> Reply:
        if request.headers.get("Authorization") == "Bearer good":
            return Reply(202)
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{server.url}/token"'})

    server.routes["/v2/app/manifests/1"] = answer
    server.routes["/token"] = Reply(200, b'{"token": "good"}')
    delete(client, Reference.parse(f"{server.host}/app:1"))
    asked = next(request for request in server.requests if request.path == "/token")
    assert asked.query["scope"] == ["repository:app:delete"]


@pytest.mark.parametrize(
    ("identifier", "status", "words"),
    [
        (":1", 405, r"doesn't delete single tags; delete .*/app@DIGEST"),
        (":1", 400, r"doesn't delete single tags"),
        (f"@{DIGEST}", 405, r"doesn't delete; its operator has to allow it \(storage\.delete\.enabled\)"),
        (f"@{DIGEST}", 404, "manifest for .* not found"),
    ],
)
def test_why_it_can_t_be_deleted(
    server: FakeServer, client: RegistryClient, identifier: str, status: int, words: str
) -> None:
    server.routes[f"/v2/app/manifests/{identifier[1:]}"] = Reply(status, b'{"errors": [{"code": "UNSUPPORTED"}]}')
    with pytest.raises(RegistryError, match=words) as caught:
        delete(client, Reference.parse(f"{server.host}/app{identifier}"))
    assert caught.value.status == status


def test_who_may_not_is_told(server: FakeServer, client: RegistryClient) -> None:
    server.routes["/v2/app/manifests/1"] = Reply(403)
    with pytest.raises(Unauthorized, match=r"delete access denied for .*/app"):
        delete(client, Reference.parse(f"{server.host}/app:1"))


def test_a_mirror_is_not_asked(server: FakeServer) -> None:
    with serving() as mirror:
        client = RegistryClient(registries=Registries({server.host: (mirror.url,)}))
        server.routes["/v2/app/manifests/1"] = Reply(202)
        delete(client, Reference.parse(f"{server.host}/app:1"))
        client.close()
        assert mirror.requests == []
