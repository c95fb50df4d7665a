"""Paths of the API, and the names in them; pure. Source: distribution-spec "Endpoints".

Whatever comes out of here is safe as a part of a file's path: names, tags and digests have passed their grammars.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from dockmagic.errors import InvalidManifest, InvalidReference
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from dockmagic.registry.faults import Fault

_HOST: Final = "localhost"  # stands before a repository's name where the grammar of references wants a registry
_SHOWN: Final = 200  # characters of a text that is refused


class Kind(Enum):
    """What a path leads to."""

    BASE = "base"
    CATALOG = "catalog"
    TAGS = "tags"
    MANIFEST = "manifest"
    BLOB = "blob"
    UPLOADS = "uploads"
    UPLOAD = "upload"
    REFERRERS = "referrers"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes; `identifier` is a tag, a digest or an upload's name, not checked yet."""

    kind: Kind
    repository: str = ""
    identifier: str = ""


def route_of(path: str) -> Route:
    """The route of a path without its query; raises Fault for one that leads nowhere, and for an illegal repository.

    >>> route_of("/v2/team/app/manifests/1.0")
    Route(kind=<Kind.MANIFEST: 'manifest'>, repository='team/app', identifier='1.0')
    """
    match unquote(path).rstrip("/").split("/"):
        case ["", "v2"]:
            return Route(Kind.BASE)
        case ["", "v2", "_catalog"]:
            return Route(Kind.CATALOG)
        case ["", "v2", *name, "tags", "list"]:
            return Route(Kind.TAGS, _repository(name))
        case ["", "v2", *name, "blobs", "uploads"]:
            return Route(Kind.UPLOADS, _repository(name))
        case ["", "v2", *name, "blobs", "uploads", identifier]:
            return Route(Kind.UPLOAD, _repository(name), identifier)
        case ["", "v2", *name, "manifests" | "blobs" | "referrers" as kind, identifier]:
            kinds = {"manifests": Kind.MANIFEST, "blobs": Kind.BLOB, "referrers": Kind.REFERRERS}
            return Route(kinds[kind], _repository(name), identifier)
    message = f"there is nothing at {path[:_SHOWN]!r}; the API of a registry begins at /v2/"
    raise Fault("UNSUPPORTED", message, status=HTTPStatus.NOT_FOUND)


def digest_of(text: str) -> Digest:
    """The digest in a path or a query; raises Fault."""
    try:
        return Digest(text)
    except InvalidManifest as error:
        raise Fault("DIGEST_INVALID", str(error)) from error


def reference_of(identifier: str) -> str | Digest:
    """What the identifier of a manifest is: a tag, or a digest. Raises Fault."""
    if ":" in identifier:
        return digest_of(identifier)
    return tag_of(identifier)


def tag_of(text: str) -> str:
    """A legal tag; raises Fault."""
    try:
        parsed = Reference.parse(f"{_HOST}/x:{text}")
    except InvalidReference as error:
        raise Fault("TAG_INVALID", str(error)) from error
    if parsed.tag != text:
        raise Fault("TAG_INVALID", f"{text[:_SHOWN]!r} is no tag")
    return text


def is_repository(name: str) -> bool:
    """Whether this is a legal name of a repository."""
    try:
        return Reference.parse(f"{_HOST}/{name}").repository == name
    except InvalidReference:
        return False


def _repository(parts: list[str]) -> str:
    """The name of a repository; raises Fault for one that is illegal."""
    name = "/".join(parts)
    if not is_repository(name):
        raise Fault("NAME_INVALID", f"{name[:_SHOWN]!r} can't be the name of a repository")
    return name
