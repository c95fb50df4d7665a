"""A registry that takes images, on the fake server: it keeps to the distribution-spec, but for what a test tells it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dockmagic.oci.digest import Digest
from tests.unit.image.fake_server import FakeServer, Reply, Request, serving

_BLOB = re.compile(r"/v2/(.+)/blobs/(sha256:[0-9a-f]+)")
_BEGIN = re.compile(r"/v2/(.+)/blobs/uploads/")
_UPLOAD = re.compile(r"/v2/(.+)/blobs/uploads/([0-9]+)")
_MANIFEST = re.compile(r"/v2/(.+)/manifests/(.+)")
Fault = Callable[[Request], Reply | None]


class FakeRegistry:
    """Blobs by repository, manifests by repository and tag, and uploads that are open.

    `faults` see each request first, and may answer it; `location` gives the header's value for an upload's path.
    """

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        server.default = self._answer
        self.blobs: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.faults: list[Fault] = []
        self.location: Callable[[str], str] = lambda path: path
        self.least_chunk = 0
        self.mounts = True
        self._lock = threading.Lock()
        self._number = 0

    @property
    def host(self) -> str:
        return self.server.host

    def calls(self, *methods: str) -> list[Request]:
        """The requests with one of these methods, in order."""
        return [request for request in self.server.requests if request.method in methods]

    def _answer(self, request: Request) -> Reply:
        for fault in self.faults:
            reply = fault(request)
            if reply is not None:
                return reply
        with self._lock:
            return self._obey(request)

    def _obey(self, request: Request) -> Reply:
        if match := _BLOB.fullmatch(request.path):
            data = self.blobs.get(match[1], {}).get(match[2])
            return Reply(404) if data is None else Reply(200, data)
        if match := _BEGIN.fullmatch(request.path):
            return self._begin(match[1], request)
        if match := _UPLOAD.fullmatch(request.path):
            if match[2] not in self.uploads:
                return refusal(404, "BLOB_UPLOAD_UNKNOWN")
            return self._go_on(match[1], match[2], request)
        if match := _MANIFEST.fullmatch(request.path):
            if request.method == "GET":
                media_type, data = self.manifests.get((match[1], match[2]), ("", b""))
                return Reply(200, data, {"Content-Type": media_type}) if data else refusal(404, "MANIFEST_UNKNOWN")
            self.manifests[match[1], match[2]] = (request.headers["Content-Type"], request.body)
            return Reply(201, headers={"Docker-Content-Digest": Digest.of(request.body)})
        return Reply(404)

    def _begin(self, repository: str, request: Request) -> Reply:
        digest, source = request.query.get("mount", [""])[0], request.query.get("from", [""])[0]
        if self.mounts and digest in self.blobs.get(source, {}):
            self.blobs.setdefault(repository, {})[digest] = self.blobs[source][digest]
            return Reply(201)
        self._number += 1
        self.uploads[str(self._number)] = bytearray()
        headers = {"Location": self.location(f"/v2/{repository}/blobs/uploads/{self._number}")}
        if self.least_chunk:
            headers["OCI-Chunk-Min-Length"] = str(self.least_chunk)
        return Reply(202, headers=headers)

    def _go_on(self, repository: str, number: str, request: Request) -> Reply:
        data = self.uploads[number]
        location = {"Location": self.location(request.path)}
        if request.method == "DELETE":
            del self.uploads[number]
            return Reply(204)
        if request.method == "PATCH":
            if request.headers.get("Content-Range", "").partition("-")[0] != str(len(data)):
                return refusal(416, "RANGE_INVALID")
            data += request.body
        if request.method == "PUT":
            data += request.body
            digest = request.query["digest"][0]
            del self.uploads[number]
            if Digest.of(bytes(data)) != digest:
                return refusal(400, "DIGEST_INVALID")
            self.blobs.setdefault(repository, {})[digest] = bytes(data)
            return Reply(201)
        received = {"Range": f"0-{max(len(data) - 1, 0)}"}
        return Reply(204 if request.method == "GET" else 202, headers={**location, **received})


def refusal(status: int, code: str, message: str = "in the registry's words") -> Reply:
    """A refusal as the specification has it."""
    return Reply(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode())


def once(method: str, reply: Callable[[Request], Reply | None] | Reply) -> Fault:
    """A fault of the first request with this method."""
    left = [reply]

    def fault(request: Request) -> Reply | None:
        if request.method != method or not left:
            return None
        what = left.pop()
        return what if isinstance(what, Reply) else what(request)

    return fault


@contextmanager
def accepting() -> Iterator[FakeRegistry]:
    """A registry that runs inside the `with`."""
    with serving() as server:
        yield FakeRegistry(server)
