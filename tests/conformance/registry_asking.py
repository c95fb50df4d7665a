"""Asking a registry by hand, one request after the other, and the content to push."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPMessage
from typing import Any
from urllib.parse import urlsplit

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ACCEPT = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}"}
OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Reply:
    """What came back; `headers` finds names in any case."""

    status: int
    headers: HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The codes of the errors in the body."""
        return [error["code"] for error in self.json()["errors"]]


class Asking:
    """One connection to a registry, kept open."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._connection = HTTPConnection(host, timeout=30)

    def __call__(
        self, method: str, path: str, body: bytes | Iterator[bytes] = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """The reply to a request; an iterator is sent in chunks. `path` may be the URL of a Location."""
        parts = urlsplit(path)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        sent = dict(headers or {})
        if isinstance(body, bytes) and method in {"POST", "PUT", "PATCH"}:
            sent["Content-Length"] = str(len(body))
        chunked = not isinstance(body, bytes)
        try:
            self._connection.request(method, target, body or None, sent, encode_chunked=chunked)
            with self._connection.getresponse() as response:
                return Reply(response.status, response.headers, response.read())
        except HTTPException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def begin(self, repository: str) -> str:
        """Location of a new upload."""
        reply = self("POST", f"/v2/{repository}/blobs/uploads/")
        assert reply.status == 202
        return located(reply)

    def push_blob(self, repository: str, data: bytes, algorithm: str = "sha256") -> str:
        """Digest of these bytes, which are a blob of the repository now."""
        digest = digest_of(data, algorithm)
        reply = self("PUT", with_query(self.begin(repository), f"digest={digest}"), data, OCTETS)
        assert reply.status == 201, reply.body
        return digest


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def located(reply: Reply) -> str:
    """Where the reply leads."""
    location = reply.headers["Location"]
    assert location
    return str(location)


def with_query(location: str, query: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}{query}"
