"""The pull side of a registry: manifests and blobs of a repository. Source: distribution-spec "Pull".

Cheap to import: the HTTP part (`dockmagic.image.transport`) is loaded with the first request. It reads no environment
variables and knows no store; it checks a manifest against its digest, but leaves blobs to whoever writes them down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from dockmagic.errors import DigestMismatch, InvalidOption, RegistryError
from dockmagic.image.auth import DOCKER_HUB
from dockmagic.image.origin import is_loopback, is_safe, origin
from dockmagic.image.refusal import Refusal
from dockmagic.image.token import CredentialsOf, Endpoint, Tokens, anonymous
from dockmagic.oci.descriptor import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference

if TYPE_CHECKING:
    from dockmagic.image.transport import Answer, Transport

MANIFEST_TYPES: Final = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
MANIFEST_LIMIT: Final = 4 << 20
_ERROR_LIMIT: Final = 1 << 20
HUB_URL: Final = "https://registry-1.docker.io"
_SCHEMA_1: Final = "application/vnd.docker.distribution.manifest.v1+"  # passed on, so that the parser says what it is

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RawManifest:
    """A manifest or index as it is stored: exactly these bytes have this digest."""

    media_type: str
    digest: Digest
    data: bytes


class RegistryClient:
    """Reads from registries. `mirror` is a base URL that is asked first for images of docker.io; "" for none
    (InvalidOption unless it is safe).

    A registry on a loopback host is spoken to in plain http, any other in https.
    """

    def __init__(self, *, credentials_of: CredentialsOf = anonymous, mirror: str = "") -> None:
        if mirror and not is_safe(mirror):
            raise InvalidOption(
                f"registry mirror {mirror!r}: expected https://HOST, or http://HOST for this machine itself"
            )
        self._credentials_of = credentials_of
        self._mirror = mirror
        self._served: dict[str, Endpoint] = {}  # by repository: the endpoint that had its manifest

    @cached_property
    def _transport(self) -> Transport:
        from dockmagic.image.transport import Transport

        return Transport()

    @cached_property
    def _tokens(self) -> Tokens:
        return Tokens(self._transport, self._credentials_of)

    def manifest(self, reference: Reference, digest: Digest | None = None) -> RawManifest:
        """The manifest or index of a reference, or the one with `digest` in its repository.

        Raises RegistryError, and DigestMismatch where the bytes are not those that were asked for.
        """
        if digest is None:
            self._served.pop(reference.name, None)
        return self._first(reference, lambda endpoint: self._manifest(endpoint, reference, digest))

    @contextmanager
    def blob(self, reference: Reference, digest: Digest) -> Iterator[Iterator[bytes]]:
        """The bytes of a blob as they arrive, unverified. Raises RegistryError, also while they are read."""
        what = f"blob {digest.short} of {reference.familiar}"
        path, accept = f"blobs/{digest}", "application/octet-stream, */*"
        with self._first(reference, lambda endpoint: self._get(endpoint, reference, path, accept, what)) as answer:
            yield answer.chunks()

    def close(self) -> None:
        """End the connections, if there are any."""
        if "_transport" in self.__dict__:
            self._transport.close()

    def _first(self, reference: Reference, attempt: Callable[[Endpoint], T]) -> T:
        """Result of the first endpoint that has one; raises the last one's error, with what the mirror said."""
        refused = ""
        *others, last = self._endpoints(reference)
        for endpoint in others:
            try:
                return attempt(endpoint)
            except RegistryError as error:
                refused = f"; before that, {endpoint.base} said: {error}"
        try:
            return attempt(last)
        except RegistryError as error:
            if not refused:
                raise
            fields = {"method": error.method, "url": error.url, "code": error.code}
            raise type(error)(f"{error}{refused}", status=error.status, **fields) from error

    def _endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """Where to look, in order: where the manifest was found, else the mirror and then the registry itself."""
        known = self._served.get(reference.name)
        if known is not None:
            return (known,)
        if reference.registry != DOCKER_HUB:
            return (_endpoint(reference.registry),)
        hub = Endpoint(HUB_URL, DOCKER_HUB)
        return (Endpoint(self._mirror.rstrip("/"), urlsplit(self._mirror).netloc), hub) if self._mirror else (hub,)

    def _manifest(self, endpoint: Endpoint, reference: Reference, digest: Digest | None) -> RawManifest:
        wanted = digest or reference.digest
        what = f"manifest for {reference.familiar}"
        path = f"manifests/{wanted or reference.identifier}"
        with self._get(endpoint, reference, path, ", ".join(MANIFEST_TYPES), what) as answer:
            media_type = _manifest_type(answer, what)
            data = answer.read(MANIFEST_LIMIT)
            expected = wanted or _announced_digest(answer)
        actual = _digest(data, expected)
        if expected is not None and actual != expected:
            raise DigestMismatch(what, expected=expected, actual=actual)
        self._served[reference.name] = endpoint
        return RawManifest(media_type, wanted or Digest.of(data), data)

    def _get(self, endpoint: Endpoint, reference: Reference, path: str, accept: str, what: str) -> Answer:
        """An answer with status 200, its body unread; authorizes itself once where the registry asks for it."""
        repository = reference.repository
        url = f"{endpoint.base}/v2/{repository}/{path}"
        headers = self._tokens.headers(endpoint, repository)
        answer = self._transport.request("GET", url, {"Accept": accept, **headers})
        if answer.status == 401 and origin(answer.url) == origin(url):
            challenge = answer.headers.get("WWW-Authenticate", "")
            if headers := self._tokens.renew(endpoint, repository, challenge):
                answer.close()
                answer = self._transport.request("GET", url, {"Accept": accept, **headers})
        if answer.status != 200:
            with answer:
                raise _refusal(answer).error(reference.familiar_name, what)
        return answer


def _endpoint(registry: str) -> Endpoint:
    """Where a registry other than Docker Hub is served."""
    host = urlsplit(f"//{registry}").hostname or ""
    return Endpoint(f"{'http' if is_loopback(host) else 'https'}://{registry}", registry)


def _refusal(answer: Answer) -> Refusal:
    """A refusal with as much of its body as could be had."""
    try:
        body = answer.read(_ERROR_LIMIT)
    except RegistryError:
        body = b""
    return Refusal(answer.method, answer.url, answer.status, answer.headers, body)


def _manifest_type(answer: Answer, what: str) -> str:
    """Media type of a manifest, without parameters; raises RegistryError for anything else."""
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type in MANIFEST_TYPES or media_type.startswith(_SCHEMA_1):
        return media_type
    message = f"{what}: the answer is {media_type or 'of no type'} and not a manifest; is {answer.url} a registry?"
    raise RegistryError(message, method=answer.method, url=answer.url, status=answer.status)


def _announced_digest(answer: Answer) -> Digest | None:
    """The digest that the registry says its manifest has."""
    value = answer.headers.get("Docker-Content-Digest")
    return Digest(value) if value else None


def _digest(data: bytes, like: Digest | None) -> Digest:
    """Digest of these bytes with the algorithm of `like`, else sha256."""
    algorithm = like.algorithm if like is not None else "sha256"
    return Digest(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")
