from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from dockmagic.errors import InvalidManifest, RegistryError
from dockmagic.image import foreign
from dockmagic.image.auth import Credentials
from dockmagic.image.foreign import check_addresses, foreign_blob, is_foreign
from dockmagic.image.registry import RegistryClient
from dockmagic.image.retry import Retry
from dockmagic.oci.descriptor import OCI_LAYER_GZIP, Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, Reply

APP = Reference.parse("r.example/team/app:1")
DOCKER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
OCI = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
LAYER = Descriptor(DOCKER, Digest.of(b"layer"), 5)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryClient]:
    """A client to which plain http is as good as https, for a server on this machine."""
    monkeypatch.setattr(foreign, "_addresses", lambda descriptor: list(descriptor.urls))
    client = RegistryClient(
        credentials_of=lambda host: Credentials("ann", "pass"), retry=Retry(attempts=2, base_s=0.001)
    )
    with closing(client):
        yield client


def fetched(client: RegistryClient, *urls: str) -> bytes:
    with foreign_blob(client, APP, replace(LAYER, urls=urls)) as body:
        assert body.offset == 0
        return b"".join(body.chunks)


@pytest.mark.parametrize(("media_type", "expected"), [(DOCKER, True), (OCI, True), (OCI_LAYER_GZIP, False)])
def test_which_layers_are_foreign(media_type: str, expected: bool) -> None:
    assert is_foreign(replace(LAYER, media_type=media_type)) is expected


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        ((), "doesn't say where it can be had"),
        (("http://cdn.example/x",), "none of its addresses is https: http://cdn.example/x"),
        (("ftp://cdn.example/x", "file:///etc/passwd", "//cdn.example/x"), "none of its addresses is https"),
    ],
)
def test_a_layer_without_a_safe_address_is_refused(urls: tuple[str, ...], words: str) -> None:
    with pytest.raises(InvalidManifest, match=words):
        check_addresses(replace(LAYER, urls=urls), APP)


def test_one_safe_address_is_enough() -> None:
    check_addresses(replace(LAYER, urls=("http://cdn.example/x", "https://cdn.example/x")), APP)


def test_the_first_address_that_has_it_is_taken_and_nobody_gets_a_secret(
    server: FakeServer, client: RegistryClient
) -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="r"'}
    server.routes = {"/a": Reply(500), "/b": Reply(401, headers=challenge), "/c": Reply(200, b"layer")}
    assert fetched(client, *(f"{server.url}/{name}" for name in "abcd")) == b"layer"
    assert server.paths() == ["/a", "/b", "/c"]
    assert not any("Authorization" in request.headers for request in server.requests)


def test_the_last_address_says_what_is_wrong(server: FakeServer, client: RegistryClient) -> None:
    with pytest.raises(RegistryError, match=rf"foreign layer {LAYER.digest.short} not found.*/b: 404"):
        fetched(client, f"{server.url}/a", f"{server.url}/b")
