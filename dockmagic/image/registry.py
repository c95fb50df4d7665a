"""The pull side of a registry: manifests, blobs and tags of a repository. Source: distribution-spec "Pull" and "Content
Discovery".

It reads no environment variables and knows no store; it checks a manifest against its digest, but leaves blobs to
whoever writes them down.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlencode

from dockmagic.errors import DigestMismatch, InvalidManifest, RegistryError
from dockmagic.image.endpoints import Endpoints
from dockmagic.image.exchange import Exchange, OnRetry, expect, silent
from dockmagic.image.notices import OnWarning, unheard
from dockmagic.image.registries import Registries
from dockmagic.image.retry import Retry, Timeouts
from dockmagic.image.token import CredentialsOf, Endpoint, anonymous, scope
from dockmagic.oci.descriptor import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference

if TYPE_CHECKING:
    from dockmagic.image.transport import Answer

MANIFEST_TYPES: Final = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
MANIFEST_LIMIT: Final = 4 << 20
CONFIG_LIMIT: Final = 8 << 20
_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+"  # passed on, so that the parser says what it is
_RANGE: Final = re.compile(r"bytes (\d{1,18})-\d+/(?:\d+|\*)")

_NO_SETTINGS: Final = Registries()
_RETRY: Final = Retry()
_TIMEOUTS: Final = Timeouts()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RawManifest:
    """A manifest or index as it is stored: exactly these bytes have this digest."""

    media_type: str
    digest: Digest
    data: bytes


@dataclass(frozen=True, slots=True)
class BlobBody:
    """Bytes of a blob from `offset` on, unverified. A body that isn't `delimited` may end too early without a word."""

    offset: int
    chunks: Iterator[bytes]
    delimited: bool


class RegistryClient:
    """Reads from registries, as `registries` says. Any thread may call any method.

    A registry on this machine may be spoken to in plain http, any other in https unless it was declared insecure.
    """

    def __init__(
        self,
        *,
        credentials_of: CredentialsOf = anonymous,
        registries: Registries = _NO_SETTINGS,
        retry: Retry = _RETRY,
        on_warning: OnWarning = unheard,
        on_retry: OnRetry = silent,
        timeouts: Timeouts = _TIMEOUTS,
    ) -> None:
        self.registries = registries
        self.exchange = Exchange(Endpoints(registries, timeouts), credentials_of, retry, on_warning, on_retry)
        self._served: dict[str, Endpoint] = {}  # by repository: the endpoint that had its manifest

    def manifest(self, reference: Reference, digest: Digest | None = None) -> RawManifest:
        """The manifest or index of a reference, or the one with `digest` in its repository.

        Raises RegistryError, and DigestMismatch where the bytes are not those that were asked for.
        """
        if digest is None:
            self._served.pop(reference.name, None)
        return self.first(reference, lambda endpoint: self._manifest(endpoint, reference, digest))

    @contextmanager
    def blob(self, reference: Reference, digest: Digest, offset: int = 0) -> Iterator[BlobBody]:
        """A blob as it arrives, from `offset` on where the registry can do that, else from its beginning.

        Tries once. Raises RegistryError, also while it is read. Where what a mirror gives breaks off, or its user finds
        by a DigestMismatch that it's wrong, the next time another one is asked.
        """

        def attempt(endpoint: Endpoint) -> tuple[Endpoint, Answer]:
            return endpoint, self._blob(endpoint, reference, digest, offset)

        endpoint, answer = self.first(reference, attempt, patient=False)
        try:
            with answer:
                start = offset if answer.status == 206 else 0
                yield BlobBody(start, answer.stored_chunks(), answer.is_delimited)
        except (RegistryError, DigestMismatch) as error:
            if not self._leave(reference, endpoint):
                raise
            raise RegistryError(f"{endpoint.base} failed: {error}", url=answer.url, passing=True) from error

    def first(self, reference: Reference, attempt: Callable[[Endpoint], T], *, patient: bool = True) -> T:
        """Result of the first endpoint that has one; raises the last one's error, with what the mirrors said.

        Only the last one is tried again.
        """
        refused = ""
        *others, last = self._endpoints(reference)
        for endpoint in others:
            try:
                return attempt(endpoint)
            except (RegistryError, DigestMismatch, InvalidManifest) as error:
                refused += f"; before that, {endpoint.base} said: {error}"
        try:
            return self.exchange.patiently(lambda: attempt(last)) if patient else attempt(last)
        except RegistryError as error:
            error.args = (f"{error}{refused}",)
            raise

    def home(self, registry: str) -> Endpoint:
        """The registry itself, for what mirrors can't answer."""
        return self.exchange.endpoints.home(registry, self.exchange.transport)

    def close(self) -> None:
        """End the connections, if there are any."""
        self.exchange.close()

    def get(self, endpoint: Endpoint, reference: Reference, path: str, what: str, headers: Mapping[str, str]) -> Answer:
        """The answer to a GET below the repository; raises RegistryError for a status other than 200."""
        url = address(endpoint, reference, path)
        answer = self.exchange.send(endpoint, (scope(reference.repository),), "GET", url, headers)
        return expect(answer, (200,), reference, what)

    def _endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """Where to look, in order: where the manifest was found, then the mirrors and the registry itself."""
        endpoints = self.exchange.readable(reference)
        known = self._served.get(reference.name)
        return endpoints if known is None else (known, *endpoints[endpoints.index(known) + 1 :])

    def _leave(self, reference: Reference, endpoint: Endpoint) -> bool:
        """Whether there is another place to ask for the repository, which is asked from now on."""
        endpoints = self.exchange.readable(reference)
        rest = endpoints[endpoints.index(endpoint) + 1 :]
        known = self._served.get(reference.name)
        if rest and (known is None or known not in rest):
            self._served[reference.name] = rest[0]
        return bool(rest)

    def _manifest(self, endpoint: Endpoint, reference: Reference, digest: Digest | None) -> RawManifest:
        wanted = digest or reference.digest
        what = f"manifest for {reference.familiar}"
        path = f"manifests/{wanted or reference.identifier}"
        with self.get(endpoint, reference, path, what, {"Accept": ", ".join(MANIFEST_TYPES)}) as answer:
            media_type = _manifest_type(answer, what)
            data = answer.read(MANIFEST_LIMIT)
            expected = wanted or announced_digest(answer)
        actual = _digest(data, expected)
        if expected is not None and actual != expected:
            wrong = DigestMismatch(what, expected=expected, actual=actual)
            if answer.is_delimited:
                raise wrong
            raise RegistryError(f"the connection may have broken off: {wrong}", url=answer.url, passing=True) from wrong
        self._served[reference.name] = endpoint
        return RawManifest(media_type, wanted or Digest.of(data), data)

    def _blob(self, endpoint: Endpoint, reference: Reference, digest: Digest, offset: int) -> Answer:
        """A blob's answer with status 200, or 206 where it begins at the offset."""
        what = f"blob {digest.short} of {reference.familiar}"
        url = address(endpoint, reference, f"blobs/{digest}")
        headers = {"Accept": "application/octet-stream, */*"}
        scopes = (scope(reference.repository),)
        if offset:
            ranged = {**headers, "Range": f"bytes={offset}-"}
            answer = self.exchange.send(endpoint, scopes, "GET", url, ranged)
            if answer.status not in (206, 416) or _starts_at(answer, offset):
                return expect(answer, (200, 206), reference, what)
            answer.close()
        return expect(self.exchange.send(endpoint, scopes, "GET", url, headers), (200,), reference, what)


def address(endpoint: Endpoint, reference: Reference, path: str) -> str:
    """URL of something in a repository; a mirror is told which registry it stands in for."""
    url = f"{endpoint.base}/v2/{reference.repository}/{path}"
    if not endpoint.namespace:
        return url
    return f"{url}{'&' if '?' in path else '?'}{urlencode({'ns': endpoint.namespace})}"


def announced_digest(answer: Answer) -> Digest | None:
    """The digest that the registry says a manifest has."""
    value = answer.headers.get("Docker-Content-Digest")
    return Digest(value) if value else None


def _starts_at(answer: Answer, offset: int) -> bool:
    """Whether a partial answer begins at this byte."""
    match = _RANGE.match(answer.headers.get("Content-Range", ""))
    return answer.status == 206 and match is not None and int(match[1]) == offset


def _manifest_type(answer: Answer, what: str) -> str:
    """Media type of a manifest, without parameters; raises RegistryError for anything else."""
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type in MANIFEST_TYPES or media_type.startswith(_SCHEMA_1):
        return media_type
    message = f"{what}: the answer is {media_type or 'of no type'} and not a manifest; is {answer.url} a registry?"
    raise RegistryError(message, method=answer.method, url=answer.url, status=answer.status)


def _digest(data: bytes, like: Digest | None) -> Digest:
    """Digest of these bytes with the algorithm of `like`, else sha256."""
    algorithm = like.algorithm if like is not None else "sha256"
    return Digest(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")
