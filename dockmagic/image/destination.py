"""The push side of a registry: blobs and manifests of one repository. Source: distribution-spec "Push".

One request a method, or two; `upload` knows what follows what, and what to do when one fails.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin

from dockmagic.errors import DigestMismatch, RegistryError, Unauthorized
from dockmagic.image.exchange import Exchange, expect
from dockmagic.image.refusal import PASSING, PUSH
from dockmagic.image.registry import address, announced_digest
from dockmagic.image.token import Endpoint, Scopes, scope
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dockmagic.image.transport import Answer, Body

_BYTES: Final = {"Content-Type": "application/octet-stream"}
_LOST_UPLOAD: Final = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"})
_RANGE: Final = re.compile(r"(?:bytes=)?0-(\d+)")


@dataclass(frozen=True, slots=True)
class Session:
    """An open upload: where it goes on, how many bytes the registry has, and the least that it takes at once."""

    location: str
    received: int = 0
    least_bytes: int = 0


class Destination:
    """A repository at its registry itself, never at a mirror. Any thread may call any method.

    All raise RegistryError; it is `passing` where the same upload may go on, or another one succeed.
    """

    def __init__(self, exchange: Exchange, reference: Reference) -> None:
        self.exchange = exchange
        self.reference = reference
        self._scope = scope(reference.repository, "pull,push")

    @cached_property
    def _endpoint(self) -> Endpoint:
        return self.exchange.home(self.reference)

    def has_blob(self, digest: Digest) -> bool:
        """Whether the registry says that the repository has the blob. A refusal is no yes: a push says more of it."""
        with self._send("HEAD", self._url(f"blobs/{digest}")) as answer:
            if answer.status in PASSING:
                self._expect(answer, (200,), digest)
            return answer.status == 200

    def begin(self, digest: Digest) -> Session:
        """A new upload."""
        with self._expect(self._send("POST", self._url("blobs/uploads/")), (202,), digest) as answer:
            return _session(answer)

    def mount(self, digest: Digest, source: str) -> Session | None:
        """None where the blob is in the repository now, from another one of the registry; else a new upload."""
        url = self._url(f"blobs/uploads/?{urlencode({'mount': digest, 'from': source})}")
        try:
            with self._send("POST", url, scopes=(self._scope, scope(source))) as answer:
                if answer.status in PASSING:
                    self._expect(answer, (201, 202), digest)
                if answer.status == 201:
                    return None
                if answer.status == 202:
                    return _session(answer)
        except Unauthorized:  # the token server minds the source
            pass
        return self.begin(digest)

    def send(self, session: Session, digest: Digest, body: Body) -> Session:
        """The upload after one more chunk, of which the registry may have taken less."""
        start = session.received
        headers = {**_BYTES, "Content-Range": f"{start}-{start + len(body) - 1}"}
        with self._upload("PATCH", session.location, digest, headers, body) as answer:
            received = _received(answer)
            if received is None or len(body) == 1:
                received = start + len(body)
            if not start < received <= start + len(body):
                message = f"the registry says that it has {received} bytes after {start + len(body)} were sent"
                raise RegistryError(f"PATCH {answer.url}: {message}", url=answer.url, passing=True)
            return Session(_location(answer, session.location), received, session.least_bytes)

    def finish(self, session: Session, digest: Digest, body: Body | None) -> None:
        """End an upload, with all of its bytes or with none; the registry has checked them then."""
        url = f"{session.location}{'&' if '?' in session.location else '?'}{urlencode({'digest': digest})}"
        self._upload("PUT", url, digest, _BYTES, body).close()

    def status(self, session: Session) -> Session | None:
        """The upload as far as the registry has it; None where there is no way to go on with it."""
        with self._send("GET", session.location) as answer:
            if answer.status in PASSING:
                self._expect(answer, (204,), "upload")
            if answer.status not in (200, 202, 204):
                return None
            return Session(_location(answer, session.location), _received(answer) or 0, session.least_bytes)

    def give_up(self, session: Session) -> None:
        """End an upload without a blob, where the registry can be told so."""
        with suppress(RegistryError):
            self._send("DELETE", session.location).close()

    def put_manifest(self, media_type: str, data: bytes) -> None:
        """Let the reference's tag name this manifest, whose blobs are there. Raises DigestMismatch."""
        reference = self.reference
        what = f"manifest for {reference.familiar}"
        url = self._url(f"manifests/{reference.identifier}")
        answer = self._send("PUT", url, {"Content-Type": media_type}, data)
        with expect(answer, (200, 201, 202), reference, what, PUSH):
            announced = announced_digest(answer)
        expected = Digest.of(data)
        if announced is not None and announced.algorithm == expected.algorithm and announced != expected:
            raise DigestMismatch(f"{what} in the registry", expected=expected, actual=announced)

    def _upload(self, method: str, url: str, digest: Digest, headers: Mapping[str, str], body: Body | None) -> Answer:
        """The answer to bytes that were sent."""
        sent = body if body is not None and len(body) else None
        try:
            return self._expect(self._send(method, url, headers, sent), (201, 202, 204), digest)
        except RegistryError as error:
            if error.status in (404, 416) or error.code in _LOST_UPLOAD:
                error.passing = True
            raise

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: Body | bytes | None = None,
        scopes: Scopes = (),
    ) -> Answer:
        return self.exchange.send(self._endpoint, scopes or (self._scope,), method, url, headers or {}, body)

    def _expect(self, answer: Answer, statuses: tuple[int, ...], what: Digest | str) -> Answer:
        """The answer, if its status is one of these."""
        name = f"blob {what.short}" if isinstance(what, Digest) else what
        return expect(answer, statuses, self.reference, f"{name} of {self.reference.familiar}", PUSH)

    def _url(self, path: str) -> str:
        return address(self._endpoint, self.reference, path)


def _session(answer: Answer) -> Session:
    """The upload that the registry has opened."""
    location = _location(answer, "")
    if not location:
        message = f"{answer.method} {answer.url}: the registry doesn't say where the upload goes (no Location)"
        raise RegistryError(message, method=answer.method, url=answer.url, status=answer.status)
    least = answer.headers.get("OCI-Chunk-Min-Length", "")
    return Session(location, 0, int(least) if least.isascii() and least.isdigit() else 0)


def _location(answer: Answer, before: str) -> str:
    """Where the upload goes on, in full; where it was before unless the registry says."""
    try:
        return urljoin(answer.url, answer.headers.get("Location", "")) if "Location" in answer.headers else before
    except ValueError as error:
        message = f"{answer.method} {answer.url}: the upload has no URL, but {answer.headers['Location']!r}"
        raise RegistryError(message, method=answer.method, url=answer.url, status=answer.status) from error


def _received(answer: Answer) -> int | None:
    """How many bytes the registry says it has, None where it doesn't say; "0-0" is what servers say of none."""
    match = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
    if match is None:
        return None
    last = int(match[1])
    return last + 1 if last else 0
