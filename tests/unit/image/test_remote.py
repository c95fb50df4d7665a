from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dockmagic.errors import DigestMismatch, DockmagicError, InvalidManifest, RegistryError
from dockmagic.image.registry import CONFIG_LIMIT, RegistryClient
from dockmagic.image.remote import look
from dockmagic.image.remote_parts import parts_of
from dockmagic.image.retry import Retry
from dockmagic.oci.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, Reply, serving

ARM = Platform("linux", "arm", "v7")
NOWHERE = "linux/mips64"  # not what the tests run on
CONFIG = {"os": "linux", "architecture": "arm", "rootfs": {"type": "layers", "diff_ids": []}}


class Bench:
    """A registry with one repository."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.client = RegistryClient(retry=Retry(attempts=2, base_s=0.001))
        self.reference = Reference.parse(f"{server.host}/app:1")

    def put(self, document: dict[str, Any], tag: str = "1") -> dict[str, Any]:
        """Serve a manifest; its descriptor."""
        data = json.dumps(document).encode()
        digest = self.server.add_manifest("app", tag, data, document["mediaType"])
        return {"mediaType": document["mediaType"], "digest": digest, "size": len(data)}

    def image(self, platform: str = "linux/arm", tag: str = "1", **changes: Any) -> dict[str, Any]:
        """Serve an image of two layers that aren't there; its descriptor, with the platform."""
        words = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        data = json.dumps(CONFIG | words | changes.pop("config_fields", {})).encode()
        config = {"mediaType": OCI_CONFIG, "digest": self.server.add_blob("app", data), "size": len(data)}
        layers = [
            {"mediaType": OCI_LAYER_GZIP, "digest": Digest.of(bytes([number])), "size": 1000} for number in range(2)
        ]
        document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
        return self.put(document | changes, tag) | {"platform": words}

    def index(self, *entries: dict[str, Any], tag: str = "1") -> dict[str, Any]:
        """Serve an index."""
        return self.put({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}, tag)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with serving() as server:
        bench = Bench(server)
        yield bench
        bench.client.close()


def test_no_layer_is_fetched(bench: Bench) -> None:
    bench.image()
    remote = look(bench.client, bench.reference)
    assert (len(remote.layers), remote.size_bytes) == (2, 2000)
    assert len(bench.server.requests) == 2  # manifest and config
    assert [platform.architecture for platform in remote.platforms] == ["arm"]


def test_layers_without_a_history_are_shown(bench: Bench) -> None:
    history = [{"created_by": "ENV A=1", "empty_layer": True}, {"created_by": "/bin/sh -c #(nop)  ADD file:1 in / "}]
    bench.image(config_fields={"history": history})
    nodes = look(bench.client, bench.reference).history
    assert [node.instruction for node in nodes] == ["ENV A=1", "ADD file:1 in /", ""]
    assert [node.size_bytes for node in nodes] == [0, 1000, 1000]


def test_an_index_without_an_image_for_this_machine_is_shown_without_one(bench: Bench) -> None:
    bench.index(bench.image(NOWHERE, "a"))
    remote = look(bench.client, bench.reference)
    assert (remote.manifest, remote.config, remote.layers, remote.history) == (None, None, (), ())
    assert len(remote.entries) == 1
    with pytest.raises(InvalidManifest, match=f"no matching manifest for linux/arm/v7 .* it has {NOWHERE}"):
        look(bench.client, bench.reference, ARM)


def test_an_image_that_isn_t_for_the_platform_is_refused(bench: Bench) -> None:
    bench.image("linux/s390x")
    with pytest.raises(InvalidManifest, match="is for linux/s390x, not for linux/arm/v7"):
        look(bench.client, bench.reference, ARM)


def test_the_best_variant_is_shown(bench: Bench) -> None:
    entries = [bench.image(f"linux/arm/{variant}", variant) for variant in ("v5", "v6", "v8")]
    bench.index(*entries)
    assert look(bench.client, bench.reference, ARM).manifest_digest == entries[1]["digest"]


def test_an_artifact_has_no_config(bench: Bench) -> None:
    bench.image(artifactType="application/vnd.example.sbom")
    remote = look(bench.client, bench.reference)
    assert (remote.config, remote.artifact_type) == (None, "application/vnd.example.sbom")


def test_indexes_in_indexes_are_followed_so_deep(bench: Bench) -> None:
    entry = bench.image(tag="a")
    for _ in range(3):
        entry = bench.index(entry)
    assert len(look(bench.client, bench.reference, ARM).entries) == 1
    bench.index(entry)
    bench.index(bench.index(entry))
    with pytest.raises(InvalidManifest, match="deep"):
        look(bench.client, bench.reference, ARM)


def test_an_index_of_very_many_indexes_is_refused(bench: Bench) -> None:
    inner = bench.index(tag="inner")
    bench.index(*[inner] * 1000)
    with pytest.raises(InvalidManifest):
        look(bench.client, bench.reference)
    assert len(bench.server.requests) < 100


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, b"{}"), DigestMismatch),
        (Reply(200, b"x" * 100_000), DigestMismatch),
        (Reply(404), RegistryError),
        (Reply(200, b"{", length=100), RegistryError),
    ],
)
def test_another_config_than_promised_is_refused(bench: Bench, reply: Reply, kind: type[DockmagicError]) -> None:
    bench.image()
    path = next(path for path in bench.server.routes if "/blobs/" in path)
    bench.server.routes[path] = reply
    with pytest.raises(kind):
        look(bench.client, bench.reference)


def test_a_huge_config_is_refused(bench: Bench) -> None:
    descriptor = {"mediaType": OCI_CONFIG, "digest": Digest.of(b""), "size": CONFIG_LIMIT + 1}
    bench.image(config=descriptor)
    with pytest.raises(InvalidManifest, match="the config has"):
        look(bench.client, bench.reference)


def test_the_parts_of_an_index(bench: Bench) -> None:
    bench.index(bench.image("linux/arm/v7", "a"), bench.image("linux/s390x", "b"))
    remote = look(bench.client, bench.reference, ARM)
    parts = parts_of(bench.client, remote, configs=True)
    assert [part.config.architecture for part in parts if part.config is not None] == ["arm", "s390x"]
    assert parts_of(bench.client, remote)[0].raw_config == b""


def test_an_entry_that_is_no_manifest_is_refused(bench: Bench) -> None:
    inner = bench.index(tag="inner")
    bench.index(inner | {"mediaType": OCI_MANIFEST, "platform": {"os": "linux", "architecture": "arm"}})
    with pytest.raises(InvalidManifest, match="is an index"):
        look(bench.client, bench.reference, ARM)
