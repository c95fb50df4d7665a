"""Puts documents into a registry as they are: what tools that push images wouldn't make."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

from dockmagic.oci.descriptor import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from dockmagic.oci.digest import Digest

Described = dict[str, Any]  # a descriptor


class Content:
    """Writes to a registry at HOST:PORT over one connection."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._connection = HTTPConnection(host, timeout=30)

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str]]:
        """Status and headers of the answer."""
        self._connection.request(method, path, body, dict(headers or {}))
        with self._connection.getresponse() as response:
            response.read()
            return response.status, dict(response.headers)

    def blob(self, repository: str, data: bytes, media_type: str) -> Described:
        """Put a blob; its descriptor."""
        status, headers = self.send("POST", f"/v2/{repository}/blobs/uploads/")
        assert status == 202
        path = headers["Location"].partition(self.host)[2] or headers["Location"]
        digest = Digest.of(data)
        status, _ = self.send("PUT", f"{path}&digest={quote(digest)}", data)
        assert status == 201
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def manifest(self, repository: str, name: str, document: Mapping[str, Any]) -> Described:
        """Put a manifest or an index under a tag, or with name "" under its digest; its descriptor."""
        data = json.dumps(document).encode()
        digest = Digest.of(data)
        headers = {"Content-Type": document["mediaType"]}
        status, _ = self.send("PUT", f"/v2/{repository}/manifests/{name or digest}", data, headers)
        assert status == 201
        return {"mediaType": document["mediaType"], "digest": digest, "size": len(data)}

    def image(
        self, repository: str, name: str = "", platform: str = "linux/amd64", *, docker: bool = False
    ) -> Described:
        """Put an image of two layers for a platform; its descriptor, with the platform."""
        layers = [archive(f"{platform}-{number}") for number in range(2)]
        words = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
        history = [
            {"created": "2024-05-01T12:00:00Z", "created_by": "ADD rootfs.tar /"},
            {"created": "2024-05-01T12:00:01Z", "created_by": "ENV WHO=world", "empty_layer": True},
            {"created": "2024-05-01T12:00:02Z", "created_by": "RUN /bin/sh -c make # buildkit"},
        ]
        config = {
            **words,
            "created": "2024-05-01T12:00:02Z",
            "config": {"Env": ["PATH=/bin", "WHO=world"], "Cmd": ["sh"], "Labels": {"kind": "test"}},
            "rootfs": {"type": "layers", "diff_ids": [Digest.of(layer) for layer in layers]},
            "history": history,
        }
        packed = [gzip.compress(layer, mtime=0) for layer in layers]
        layer_type = DOCKER_LAYER_GZIP if docker else OCI_LAYER_GZIP
        document = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
            "config": self.blob(repository, json.dumps(config).encode(), DOCKER_CONFIG if docker else OCI_CONFIG),
            "layers": [self.blob(repository, layer, layer_type) for layer in packed],
        }
        return self.manifest(repository, name, document) | {"platform": words}

    def index(self, repository: str, name: str, entries: list[Described], media_type: str = OCI_INDEX) -> Described:
        """Put an index of these."""
        return self.manifest(repository, name, {"schemaVersion": 2, "mediaType": media_type, "manifests": entries})


@contextmanager
def writing(host: str) -> Iterator[Content]:
    """Write to a registry inside the `with`."""
    content = Content(host)
    try:
        yield content
    finally:
        content._connection.close()


def archive(text: str) -> bytes:
    """A layer with one file, that has this text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(text.replace("/", "-"))
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()
