"""Images, indexes and artifacts of all the kinds that the distribution-spec's conformance suite pushes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.registry_asking import OCI_INDEX, OCI_MANIFEST, digest_of

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
EXAMPLE = "application/vnd.example.oci.conformance.v1"
OTHER = "application/vnd.example.oci.conformance.v2"
NOTE = {"org.opencontainers.conformance": "hello conformance test"}

Json = dict[str, Any]


@dataclass
class Data:
    """What is pushed together: documents in an order in which each follows those that it refers to."""

    algorithm: str = "sha256"
    blobs: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # by digest: media type and bytes
    tags: dict[str, str] = field(default_factory=dict)
    referrers: dict[str, list[Json]] = field(default_factory=dict)  # by subject
    by_parameter: bool = False  # whether tags are given with the push by digest

    def blob(self, media_type: str, content: bytes | None = None) -> Json:
        """Descriptor of a blob of any content."""
        data = random.randbytes(300) if content is None else content
        digest = digest_of(data, self.algorithm)
        self.blobs[digest] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def document(self, media_type: str, content: Json, tag: str = "") -> Json:
        """Descriptor of a document; one with a subject is expected among that one's referrers."""
        data = json.dumps({"schemaVersion": 2, "mediaType": media_type, **content}).encode()
        digest = digest_of(data, self.algorithm)
        self.documents[digest] = (media_type, data)
        descriptor: Json = {"mediaType": media_type, "digest": digest, "size": len(data)}
        if tag:
            self.tags[tag] = digest
        if "subject" in content:
            kind = content.get("artifactType") or content.get("config", {}).get("mediaType")
            shown = descriptor | ({"artifactType": kind} if kind else {})
            shown |= {"annotations": content["annotations"]} if "annotations" in content else {}
            self.referrers.setdefault(content["subject"]["digest"], []).append(shown)
        return descriptor

    def image(self, tag: str = "", *, layers: int = 2, **more: Any) -> Json:
        """Descriptor of an image manifest."""
        content = {"config": self.blob(CONFIG), "layers": [self.blob(LAYER) for _ in range(layers)]}
        return self.document(OCI_MANIFEST, content | more, tag)

    def artifact(self, tag: str = "", *, kind: str = EXAMPLE, layer: bytes | None = None, **more: Any) -> Json:
        """Descriptor of an artifact's manifest."""
        content = {"artifactType": kind, "config": self.blob(EMPTY, b"{}"), "layers": [self.blob(kind, layer)]}
        return self.document(OCI_MANIFEST, content | more, tag)

    def index(self, tag: str = "", **more: Any) -> Json:
        """Descriptor of an index of two images."""
        platforms = [{"os": "linux", "architecture": name} for name in ("amd64", "arm64")]
        entries = [self.image() | {"platform": platform} for platform in platforms]
        return self.document(OCI_INDEX, {"manifests": entries} | more, tag)


def _made(make: Callable[[Data], object], algorithm: str = "sha256", *, by_parameter: bool = False) -> Data:
    data = Data(algorithm, by_parameter=by_parameter)
    make(data)
    return data


def _nested(data: Data) -> None:
    entries = [data.index(), data.index()]
    data.document(OCI_INDEX, {"manifests": entries}, "index-of-index")


def _artifacts_with_subject(data: Data) -> None:
    subject = data.image("image")
    data.image(subject=subject)
    data.artifact("tagged-artifact1", subject=subject, annotations=NOTE)
    data.artifact("tagged-artifact2", kind=OTHER, subject=subject, annotations=NOTE | {"number": "2"})


def _index_with_subject(data: Data) -> None:
    data.index("tagged-artifact", subject=data.index("index"), artifactType=EXAMPLE, annotations=NOTE)


def _missing_subject(data: Data) -> None:
    missing = {"mediaType": OCI_MANIFEST, "digest": digest_of(random.randbytes(9)), "size": 123}
    data.artifact("tagged-artifact", subject=missing, annotations=NOTE)


def _data_field(data: Data) -> None:
    config = data.blob(CONFIG, b"{}") | {"data": "e30="}
    data.document(OCI_MANIFEST, {"config": config, "layers": []}, "data-field")


def _elsewhere(data: Data) -> None:
    """Layers that no registry has."""
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    lie = [digest_of(random.randbytes(9)) for _ in range(2)]
    layers: list[Json] = [
        {"mediaType": f"{kind}+gzip", "digest": lie[0], "size": 123456, "urls": ["https://store.example.com/a"]},
        {"mediaType": kind, "digest": lie[1], "size": 12345, "urls": ["https://store.example.com/b"]},
        data.blob(LAYER),
    ]
    data.document(OCI_MANIFEST, {"config": data.blob(CONFIG), "layers": layers}, "non-distributable-image")


SETS: dict[str, Callable[[], Data]] = {
    "image": lambda: _made(lambda data: data.image("image")),
    "large-manifest": lambda: _made(
        lambda data: data.image("large-manifest", annotations={f"large-{number}": "A" * 10000 for number in range(390)})
    ),
    "index": lambda: _made(lambda data: data.index("index")),
    "nested-index": lambda: _made(_nested),
    "empty-index": lambda: _made(lambda data: data.document(OCI_INDEX, {"manifests": []}, "empty-index")),
    "artifact": lambda: _made(lambda data: data.artifact("artifact")),
    "artifact-index": lambda: _made(lambda data: data.index("artifact-index", artifactType=EXAMPLE)),
    "artifact-without-layers": lambda: _made(lambda data: data.artifact("without-layers", layer=b"{}")),
    "artifacts-with-subject": lambda: _made(_artifacts_with_subject),
    "index-with-subject": lambda: _made(_index_with_subject),
    "missing-subject": lambda: _made(_missing_subject),
    "data-field": lambda: _made(_data_field),
    "non-distributable-layers": lambda: _made(_elsewhere),
    "custom-fields": lambda: _made(lambda data: data.index("custom-fields", **{"org.example.custom": "x"})),
    "no-layers": lambda: _made(lambda data: data.image("no-layers", layers=0)),
    "sha512": lambda: _made(lambda data: data.index(), "sha512"),
    "tag-param": lambda: _made(lambda data: data.index("tag-param"), by_parameter=True),
    "tag-param-sha512": lambda: _made(lambda data: data.index("tag-param-512"), "sha512", by_parameter=True),
}
