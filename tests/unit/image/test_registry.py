from __future__ import annotations

import subprocess
import sys

import pytest

from dockmagic.errors import DigestMismatch, InvalidManifest, InvalidOption, RegistryError, Unauthorized
from dockmagic.image.auth import Credentials
from dockmagic.image.registries import Registries
from dockmagic.image.registry import MANIFEST_LIMIT, RawManifest, RegistryClient
from dockmagic.image.retry import Retry
from dockmagic.oci.descriptor import DOCKER_LIST, OCI_MANIFEST
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, Reply, Request, nobody_listens, serving

MANIFEST = b'{"schemaVersion": 2}'
QUICK = Retry(attempts=2, base_s=0.001)
DENIED = "pull access denied for .*, repository does not exist or may require 'docker login'"


def app(server: FakeServer, identifier: str = ":1") -> Reference:
    return Reference.parse(f"{server.host}/team/app{identifier}")


def test_a_manifest_by_tag(server: FakeServer, client: RegistryClient) -> None:
    digest = server.add_manifest("team/app", "1", MANIFEST, f"{OCI_MANIFEST}; charset=utf-8")
    assert client.manifest(app(server)) == RawManifest(OCI_MANIFEST, digest, MANIFEST)
    accepted = server.requests[0].headers["Accept"]
    assert OCI_MANIFEST in accepted
    assert DOCKER_LIST in accepted


def test_a_manifest_by_digest(server: FakeServer, client: RegistryClient) -> None:
    digest = server.add_manifest("team/app", "1", MANIFEST)
    assert client.manifest(app(server, f"@{digest}")).digest == digest
    assert client.manifest(app(server), digest).data == MANIFEST
    assert server.paths() == [f"/v2/team/app/manifests/{digest}"] * 2


def test_another_manifest_than_asked_for_is_refused(server: FakeServer, client: RegistryClient) -> None:
    wanted = Digest.of(b"something else")
    server.routes[f"/v2/team/app/manifests/{wanted}"] = Reply(200, MANIFEST, {"Content-Type": OCI_MANIFEST})
    with pytest.raises(DigestMismatch) as caught:
        client.manifest(app(server, f"@{wanted}"))
    assert (caught.value.expected, caught.value.actual) == (wanted, Digest.of(MANIFEST))


def test_another_manifest_than_announced_is_refused(server: FakeServer, client: RegistryClient) -> None:
    headers = {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": Digest.of(b"x")}
    server.routes["/v2/team/app/manifests/1"] = Reply(200, MANIFEST, headers)
    with pytest.raises(DigestMismatch):
        client.manifest(app(server))
    server.routes["/v2/team/app/manifests/1"] = Reply(200, MANIFEST, headers | {"Docker-Content-Digest": "nonsense"})
    with pytest.raises(InvalidManifest, match="nonsense"):
        client.manifest(app(server))


def test_a_sha512_digest_is_verified(server: FakeServer, client: RegistryClient) -> None:
    wanted = Digest("sha512:" + "0" * 128)
    server.routes[f"/v2/team/app/manifests/{wanted}"] = Reply(200, MANIFEST, {"Content-Type": OCI_MANIFEST})
    with pytest.raises(DigestMismatch, match="got sha512:"):
        client.manifest(app(server, f"@{wanted}"))


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", ""])
def test_something_else_than_a_manifest_is_refused(
    server: FakeServer, client: RegistryClient, content_type: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    server.routes["/v2/team/app/manifests/1"] = Reply(200, b"<html>welcome", headers)
    with pytest.raises(RegistryError, match=r"not a manifest; is .* a registry"):
        client.manifest(app(server))


def test_a_manifest_that_never_ends_is_refused(server: FakeServer, client: RegistryClient) -> None:
    server.add_manifest("team/app", "1", b" " * (MANIFEST_LIMIT + 1))
    with pytest.raises(RegistryError, match="longer than"):
        client.manifest(app(server))


def test_a_blob_is_streamed(server: FakeServer, client: RegistryClient) -> None:
    data = bytes(range(256)) * 2000
    digest = server.add_blob("team/app", data)
    with client.blob(app(server), digest) as body:
        pieces = list(body.chunks)
    assert b"".join(pieces) == data
    assert len(pieces) > 1


def test_a_truncated_blob_breaks_off(server: FakeServer, client: RegistryClient) -> None:
    digest = Digest.of(b"whole")
    server.routes[f"/v2/team/app/blobs/{digest}"] = Reply(200, b"who", length=5)
    with client.blob(app(server), digest) as body:
        with pytest.raises(RegistryError, match="broke off"):
            list(body.chunks)


def test_an_unknown_manifest_and_an_unknown_repository(server: FakeServer, client: RegistryClient) -> None:
    unknown = b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
    server.routes["/v2/team/app/manifests/1"] = Reply(404, unknown)
    with pytest.raises(RegistryError, match=r"manifest for .*/team/app:1 not found") as caught:
        client.manifest(app(server))
    assert (caught.value.status, caught.value.code) == (404, "MANIFEST_UNKNOWN")
    server.routes["/v2/team/app/manifests/1"] = Reply(404, b'{"errors": [{"code": "NAME_UNKNOWN"}]}')
    with pytest.raises(RegistryError, match=DENIED):
        client.manifest(app(server))


def protect(server: FakeServer, path: str, secret: str, challenge: str) -> None:
    """Answer this path only to those who show the secret."""
    open_reply = server.routes[path]
    assert isinstance(open_reply, Reply)
    opened = open_reply

    def answer(request: Request) -> Reply:
        return (
            opened
            if request.headers.get("Authorization") == secret
            else Reply(401, headers={"WWW-Authenticate": challenge})
        )

    server.routes[path] = answer


def test_a_token_is_fetched_once_and_used_again(server: FakeServer, client: RegistryClient) -> None:
    with serving() as tokens:
        tokens.routes = {"/token": Reply(200, b'{"token": "t"}')}
        blob = server.add_blob("team/app", b"blob")
        server.add_manifest("team/app", "1", MANIFEST)
        for path in (f"/v2/team/app/blobs/{blob}", "/v2/team/app/manifests/1"):
            protect(server, path, "Bearer t", f'Bearer realm="{tokens.url}/token",service="s"')
        client.manifest(app(server))
        with client.blob(app(server), blob) as body:
            assert b"".join(body.chunks) == b"blob"
    assert len(tokens.requests) == 1
    assert len(server.requests) == 3


def test_a_registry_that_is_never_content_is_left_alone(server: FakeServer, client: RegistryClient) -> None:
    server.routes = {
        "/token": Reply(200, b'{"token": "t"}'),
        "/v2/team/app/manifests/1": Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{server.url}/token"'}),
    }
    with pytest.raises(Unauthorized, match=DENIED):
        client.manifest(app(server))
    assert server.paths() == ["/v2/team/app/manifests/1", "/token", "/v2/team/app/manifests/1"]


def test_basic_credentials_are_sent_after_the_challenge(server: FakeServer) -> None:
    server.add_manifest("team/app", "1", MANIFEST)
    protect(server, "/v2/team/app/manifests/1", "Basic YW5uOnBhc3M=", 'Basic realm="r"')
    client = RegistryClient(credentials_of={server.host: Credentials("ann", "pass")}.get)
    assert client.manifest(app(server)).data == MANIFEST
    client.close()


def test_a_blob_s_redirect_does_not_carry_the_secret(server: FakeServer) -> None:
    blob = Digest.of(b"blob")
    with serving() as storage:
        path = f"/v2/team/app/blobs/{blob}"
        storage.routes = {"/signed": Reply(200, b"blob")}
        server.routes = {path: Reply(307, headers={"Location": f"{storage.url}/signed"})}
        protect(server, path, "Basic YW5uOnBhc3M=", 'Basic realm="r"')
        client = RegistryClient(credentials_of={server.host: Credentials("ann", "pass")}.get)
        with client.blob(app(server), blob) as body:
            assert b"".join(body.chunks) == b"blob"
        client.close()
    assert "Authorization" in server.requests[-1].headers
    assert "Authorization" not in storage.requests[0].headers


def test_a_challenge_from_where_a_redirect_led_gets_no_answer(server: FakeServer) -> None:
    with serving() as thief:
        thief.routes = {"/x": Reply(401, headers={"WWW-Authenticate": f'Bearer realm="{thief.url}/token"'})}
        server.routes = {"/v2/team/app/manifests/1": Reply(307, headers={"Location": f"{thief.url}/x"})}
        client = RegistryClient(credentials_of=lambda registry: Credentials("ann", "pass"))
        with pytest.raises(Unauthorized):
            client.manifest(app(server))
        client.close()
    assert thief.paths() == ["/x"]


def test_too_many_requests_names_the_wait(server: FakeServer, client: RegistryClient) -> None:
    server.routes["/v2/team/app/manifests/1"] = Reply(429, b"", {"Retry-After": "300"})
    with pytest.raises(RegistryError, match="asks to wait 300 s") as caught:
        client.manifest(app(server))
    assert caught.value.status == 429


def test_a_mirror_is_asked_first_for_docker_hub(server: FakeServer) -> None:
    digest = server.add_manifest("library/busybox", "latest", MANIFEST)
    blob = server.add_blob("library/busybox", b"blob")
    client = RegistryClient(registries=Registries({"docker.io": (f"{server.url}/",)}), retry=QUICK)
    reference = Reference.parse("busybox")
    assert client.manifest(reference).digest == digest
    with client.blob(reference, blob) as body:
        assert b"".join(body.chunks) == b"blob"
    client.close()


def test_docker_hub_follows_a_mirror_that_fails(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockmagic.image.endpoints.HUB_URL", server.url)
    digest = server.add_manifest("library/busybox", "latest", MANIFEST)
    with nobody_listens() as host:
        client = RegistryClient(registries=Registries({"docker.io": (f"http://{host}",)}), retry=QUICK)
        assert client.manifest(Reference.parse("busybox")).digest == digest
        with pytest.raises(RegistryError, match=rf"busybox:1 not found.*before that, http://{host} said: .*reached"):
            client.manifest(Reference.parse("busybox:1"))
    client.close()


def test_a_mirror_is_for_docker_hub_only(server: FakeServer) -> None:
    server.add_manifest("team/app", "1", MANIFEST)
    client = RegistryClient(registries=Registries({"docker.io": ("https://mirror.invalid",)}), retry=QUICK)
    assert client.manifest(app(server)).data == MANIFEST
    client.close()


@pytest.mark.parametrize("mirror", ["localhost:5000", "http://mirror.example", "ftp://localhost"])
def test_a_mirror_that_is_no_safe_url_is_refused(mirror: str) -> None:
    with pytest.raises(InvalidOption, match="expected https://HOST"):
        Registries({"docker.io": (mirror,)})


def test_importing_the_client_is_cheap() -> None:
    code = "import sys, dockmagic.image.registry; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
