from __future__ import annotations

import json

import pytest

from dockmagic.errors import InvalidManifest, RegistryError
from dockmagic.image.referrers import fallback_tag, referrers
from dockmagic.image.registry import RegistryClient
from dockmagic.oci.descriptor import OCI_INDEX, OCI_MANIFEST
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, Reply, Request

SUBJECT = Digest.of(b"the subject")
PATH = f"/v2/app/referrers/{SUBJECT}"


def index(*types: str) -> bytes:
    """An index of artifacts of these types."""
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": Digest.of(kind.encode()), "size": 2, "artifactType": kind}
        for kind in types
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


def kinds(client: RegistryClient, server: FakeServer, artifact_type: str = "") -> list[str]:
    reference = Reference.parse(f"{server.host}/app@{SUBJECT}")
    return [entry.artifact_type for entry in referrers(client, reference, artifact_type)]


def test_what_the_registry_lists_page_by_page(server: FakeServer, client: RegistryClient) -> None:
    def answer(request: Request) -> Reply:
        if "last" in request.query:
            return Reply(200, index("c"))
        return Reply(200, index("a", "b"), {"Link": f'<{PATH}?last=b>; rel="next"'})

    server.routes[PATH] = answer
    assert kinds(client, server) == ["a", "b", "c"]


def test_a_type_is_asked_for_and_chosen_where_the_registry_does_not(server: FakeServer, client: RegistryClient) -> None:
    server.routes[PATH] = Reply(200, index("a/x+json", "b"))
    assert kinds(client, server, "a/x+json") == ["a/x+json"]
    assert server.requests[-1].query["artifactType"] == ["a/x+json"]


def test_a_registry_without_the_list_has_a_tag(server: FakeServer, client: RegistryClient) -> None:
    assert kinds(client, server) == []
    assert server.paths() == [PATH, f"/v2/app/manifests/sha256-{SUBJECT.hex}"]
    server.add_manifest("app", fallback_tag(SUBJECT), index("a", "b"), OCI_INDEX)
    assert kinds(client, server, "b") == ["b"]


def test_a_tag_is_looked_up_first(server: FakeServer, client: RegistryClient) -> None:
    digest = server.add_manifest("app", "1", b"{}")
    server.routes[f"/v2/app/referrers/{digest}"] = Reply(200, index("a"))
    assert len(referrers(client, Reference.parse(f"{server.host}/app:1"))) == 1


def test_trouble_is_told(server: FakeServer, client: RegistryClient) -> None:
    server.routes[PATH] = Reply(500)
    with pytest.raises(RegistryError, match="trouble of its own"):
        kinds(client, server)
    server.routes[PATH] = Reply(200, b"<html>")
    with pytest.raises(InvalidManifest):
        kinds(client, server)
