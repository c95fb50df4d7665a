from __future__ import annotations

import json
from typing import Any

import pytest

from dockmagic.errors import InvalidManifest
from dockmagic.oci.descriptor import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Platform,
)
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import Index, Manifest, dump_manifest, parse_manifest

CONFIG = Descriptor(OCI_CONFIG, Digest.of(b"config"), 6)
LAYER = Descriptor(OCI_LAYER_GZIP, Digest.of(b"layer"), 5)
ENTRY = Descriptor(OCI_MANIFEST, Digest.of(b"manifest"), 8, platform=Platform("linux", "arm", "v7", "1"))
FULL = Descriptor(
    OCI_LAYER_GZIP, Digest.of(b"full"), 4, {"a": "b"}, ("https://host/x",), Platform("linux", "amd64"), "text/x"
)


def manifest(**changes: Any) -> bytes:
    return json.dumps({**json.loads(dump_manifest(Manifest(CONFIG, (LAYER,)))), **changes}).encode()


def index(**changes: Any) -> bytes:
    return json.dumps({**json.loads(dump_manifest(Index((ENTRY,)))), **changes}).encode()


@pytest.mark.parametrize(
    "value",
    [
        Manifest(CONFIG, ()),
        Manifest(CONFIG, (LAYER, FULL), annotations={"k": "v"}, artifact_type="text/x", subject=ENTRY),
        Manifest(
            Descriptor(DOCKER_CONFIG, CONFIG.digest, 6),
            (Descriptor(DOCKER_LAYER_GZIP, LAYER.digest, 5),),
            DOCKER_MANIFEST,
        ),
        Index((ENTRY, FULL), annotations={"k": "v"}, artifact_type="text/x", subject=CONFIG),
        Index((ENTRY,), DOCKER_LIST),
    ],
)
def test_round_trip(value: Manifest | Index) -> None:
    data = dump_manifest(value)
    assert parse_manifest(data) == value
    assert parse_manifest(data, f"{value.media_type}; charset=utf-8") == value
    assert parse_manifest(data, "application/json") == value


def test_media_type_is_optional_in_oci() -> None:
    assert parse_manifest(manifest(mediaType=None)) == Manifest(CONFIG, (LAYER,))
    assert parse_manifest(index(mediaType=None)) == Index((ENTRY,))
    assert parse_manifest(manifest(mediaType=None), DOCKER_MANIFEST).media_type == DOCKER_MANIFEST


def test_unknown_fields_are_ignored() -> None:
    assert parse_manifest(manifest(new={"a": 1})) == Manifest(CONFIG, (LAYER,))


def test_artifact_is_told_by_its_config() -> None:
    empty = Descriptor("application/vnd.oci.empty.v1+json", Digest.of(b"{}"), 2)
    assert Manifest(CONFIG, ()).is_image
    assert not Manifest(empty, ()).is_image


@pytest.mark.parametrize(
    ("data", "given", "says"),
    [
        (manifest(schemaVersion=1), "", "schema version 1 is obsolete"),
        (manifest(), "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema version 1 is obsolete"),
        (manifest(schemaVersion=3), "", "schemaVersion: expected 2, got 3"),
        (manifest(schemaVersion=None), "", "schemaVersion: expected 2, got 0"),
        (manifest(), DOCKER_MANIFEST, f"mediaType: is '{OCI_MANIFEST}', but the source said '{DOCKER_MANIFEST}'"),
        (manifest(), OCI_INDEX, "but the source said"),
        (manifest(mediaType="text/html"), "", "neither an image manifest nor an index"),
        (manifest(mediaType=None), "text/html", "neither an image manifest nor an index"),
        (manifest(mediaType=None), OCI_INDEX, "config: doesn't belong in a document of type"),
        (manifest(manifests=[]), "", "manifests: doesn't belong in a document of type"),
        (index(layers=[]), "", "layers: doesn't belong in a document of type"),
        (manifest(mediaType=None, manifests=[]), "", "config: doesn't belong"),
        (manifest(config=None), "", "config: is missing"),
        (manifest(layers=None), "", "layers: is missing"),
        (index(manifests=None), "", "manifests: is missing"),
        (manifest(layers=[{"mediaType": "x", "digest": "sha256:0", "size": 1}]), "", "layers[0].digest: unsupported"),
        (manifest(layers=[{"mediaType": "x", "digest": LAYER.digest}]), "", "layers[0].size: expected a number"),
        (manifest(layers=[{"mediaType": "x", "digest": LAYER.digest, "size": -1}]), "", "layers[0].size"),
        (manifest(layers=[{"mediaType": "x", "digest": LAYER.digest, "size": 2**63}]), "", "layers[0].size"),
        (manifest(layers=[{"digest": LAYER.digest, "size": 1}]), "", "layers[0].mediaType: is missing"),
        (manifest(annotations={"a": 1}), "", "annotations.a: expected a string"),
        (index(manifests=[{**json.loads(index())["manifests"][0], "platform": {"os": "linux"}}]), "", "architecture"),
        (b"<html>", "", "manifest: not a JSON document"),
    ],
)
def test_what_is_refused(data: bytes, given: str, says: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse_manifest(data, given)
    assert says in str(caught.value)


def test_index_shape_without_type_may_not_hold_layers() -> None:
    with pytest.raises(InvalidManifest, match="doesn't belong"):
        parse_manifest(index(mediaType=None, config={}))
