"""Manifests and indexes, OCI's and Docker's.

Source: image-spec manifest.md and image-index.md; Docker's image manifest version 2, schema 2.

A document's own `mediaType`, the one that a registry gave for it, and its shape must agree: content that could be read
as two different things is refused (CVE-2021-41190).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dockmagic.errors import InvalidManifest
from dockmagic.oci.descriptor import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Platform,
)
from dockmagic.oci.digest import Digest
from dockmagic.oci.fields import Fields

MANIFEST_TYPES: Final = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES: Final = (OCI_INDEX, DOCKER_LIST)
_UNTYPED: Final = ("", "application/json", "application/octet-stream", "text/plain")
_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+"
_MAXIMUM_SIZE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image (or artifact): its config and its layers, lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = OCI_MANIFEST
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str = ""
    subject: Descriptor | None = None

    @property
    def is_image(self) -> bool:
        """Whether the config is an image's; else it's an artifact, which no container can be made of."""
        return self.config.media_type in (OCI_CONFIG, DOCKER_CONFIG)


@dataclass(frozen=True, slots=True)
class Index:
    """Manifests of the same thing for several platforms, in the order of preference."""

    manifests: tuple[Descriptor, ...]
    media_type: str = OCI_INDEX
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str = ""
    subject: Descriptor | None = None


def parse_manifest(data: bytes, media_type: str = "") -> Manifest | Index:
    """Manifest or index in this JSON text; `media_type` is what the source said (parameters are ignored).

    Raises InvalidManifest where the text breaks the specification or the media types disagree.
    """
    fields = Fields.parse(data, "manifest")
    kind = _media_type(fields, media_type.partition(";")[0].strip().lower())
    if fields.number("schemaVersion") != 2:
        fields.refuse("schemaVersion", f"expected 2, got {fields.number('schemaVersion')}")
    return _index(fields, kind) if kind in INDEX_TYPES else _manifest(fields, kind)


def dump_manifest(manifest: Manifest | Index) -> bytes:
    """JSON text of a manifest or index, without white space; equal values give equal bytes."""
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": manifest.media_type}
    if manifest.artifact_type:
        document["artifactType"] = manifest.artifact_type
    if isinstance(manifest, Manifest):
        document["config"] = _descriptor_json(manifest.config)
        document["layers"] = [_descriptor_json(layer) for layer in manifest.layers]
    else:
        document["manifests"] = [_descriptor_json(entry) for entry in manifest.manifests]
    if manifest.subject is not None:
        document["subject"] = _descriptor_json(manifest.subject)
    if manifest.annotations:
        document["annotations"] = dict(sorted(manifest.annotations.items()))
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _media_type(fields: Fields, given: str) -> str:
    """The media type that the source, the document and its shape agree on."""
    if given.startswith(_SCHEMA_1) or fields.number("schemaVersion") == 1:
        raise InvalidManifest(
            "manifest: schema version 1 is obsolete and insecure; push the image again with a newer tool"
        )
    stated = fields.text("mediaType")
    known = "" if given in _UNTYPED else given
    if stated and known and stated != known:
        fields.refuse("mediaType", f"is {stated!r}, but the source said {known!r}")
    kind = stated or known or _shape(fields)
    if kind not in MANIFEST_TYPES + INDEX_TYPES:
        fields.refuse("mediaType", f"{kind!r} is neither an image manifest nor an index")
    forbidden = ("config", "layers") if kind in INDEX_TYPES else ("manifests",)
    for key in forbidden:
        if key in fields:
            fields.refuse(key, f"doesn't belong in a document of type {kind}")
    return kind


def _shape(fields: Fields) -> str:
    """The OCI type that a document without one has by its fields (`mediaType` is optional there)."""
    return OCI_INDEX if "manifests" in fields else OCI_MANIFEST


def _manifest(fields: Fields, media_type: str) -> Manifest:
    """The document as a manifest of this media type."""
    for key in ("config", "layers"):
        if key not in fields:
            fields.refuse(key, "is missing")
    return Manifest(
        config=_descriptor(fields.object("config")),
        layers=tuple(_descriptor(layer) for layer in fields.objects("layers")),
        media_type=media_type,
        annotations=fields.labels("annotations"),
        artifact_type=fields.text("artifactType"),
        subject=_descriptor(fields.object("subject")) if "subject" in fields else None,
    )


def _index(fields: Fields, media_type: str) -> Index:
    """The document as an index of this media type."""
    if "manifests" not in fields:
        fields.refuse("manifests", "is missing")
    return Index(
        manifests=tuple(_descriptor(entry) for entry in fields.objects("manifests")),
        media_type=media_type,
        annotations=fields.labels("annotations"),
        artifact_type=fields.text("artifactType"),
        subject=_descriptor(fields.object("subject")) if "subject" in fields else None,
    )


def _descriptor(fields: Fields) -> Descriptor:
    """A descriptor."""
    size = fields.number("size")
    if "size" not in fields or not 0 <= size <= _MAXIMUM_SIZE:
        fields.refuse("size", "expected a number of bytes")
    return Descriptor(
        media_type=fields.required_text("mediaType"),
        digest=fields.convert("digest", Digest),
        size=size,
        annotations=fields.labels("annotations"),
        urls=fields.texts("urls"),
        platform=_platform(fields.object("platform")) if "platform" in fields else None,
        artifact_type=fields.text("artifactType"),
    )


def _platform(fields: Fields) -> Platform:
    """A platform."""
    return Platform(
        os=fields.required_text("os"),
        architecture=fields.required_text("architecture"),
        variant=fields.text("variant"),
        os_version=fields.text("os.version"),
    )


def _descriptor_json(descriptor: Descriptor) -> dict[str, Any]:
    """JSON form of a descriptor."""
    document: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.artifact_type:
        document["artifactType"] = descriptor.artifact_type
    if descriptor.urls:
        document["urls"] = list(descriptor.urls)
    if descriptor.annotations:
        document["annotations"] = dict(sorted(descriptor.annotations.items()))
    if descriptor.platform is not None:
        document["platform"] = _platform_json(descriptor.platform)
    if descriptor.artifact_type:
        document["artifactType"] = descriptor.artifact_type
    return document


def _platform_json(platform: Platform) -> dict[str, str]:
    """JSON form of a platform."""
    document = {"architecture": platform.architecture, "os": platform.os}
    optional = {"os.version": platform.os_version, "variant": platform.variant}
    return document | {key: value for key, value in optional.items() if value}
