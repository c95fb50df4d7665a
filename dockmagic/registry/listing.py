"""What there is: tags, repositories, referrers. Source: distribution-spec "Content Discovery"; Docker's `_catalog`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from dockmagic.oci.descriptor import OCI_INDEX
from dockmagic.oci.manifest import Index, dump_manifest
from dockmagic.registry.content import Content
from dockmagic.registry.faults import JSON, Fault, Headers
from dockmagic.registry.messages import Answer, Request
from dockmagic.registry.routes import digest_of

_TYPE: Final = "artifactType"


def get_tags(request: Request, content: Content) -> Answer:
    """A page of a repository's tags; raises Fault."""
    repository = request.route.repository
    tags, links = _page(content.tags(repository), request, f"/v2/{repository}/tags/list")
    return _json({"name": repository, "tags": tags}, links)


def get_catalog(request: Request, content: Content) -> Answer:
    """A page of the names of all repositories."""
    names, links = _page(content.repositories(), request, "/v2/_catalog")
    return _json({"repositories": names}, links)


def get_referrers(request: Request, content: Content) -> Answer:
    """The index of what names a document as its subject, perhaps of one artifact type only."""
    subject = digest_of(request.route.identifier)
    found = content.referrers(request.route.repository, subject)
    headers: Headers = (("Content-Type", OCI_INDEX),)
    if wanted := request.parameter(_TYPE).replace(" ", "+"):  # a bare + in a query is a space, and no type has one
        found = [descriptor for descriptor in found if descriptor.artifact_type == wanted]
        headers = (*headers, ("OCI-Filters-Applied", _TYPE))
    return Answer(HTTPStatus.OK, headers, dump_manifest(Index(tuple(found))))


def _page(names: Sequence[str], request: Request, path: str) -> tuple[Sequence[str], Headers]:
    """At most `n` names after `last`, and the link to the next ones where there are any."""
    last = request.parameter("last")
    rest = [name for name in names if name > last]
    if "n" not in request.query:
        return rest, ()
    text = request.parameter("n")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Fault("PAGINATION_NUMBER_INVALID", f"n={text[:40]!r} is no number of names")
    shown = rest[: int(text)]
    if not shown or len(shown) == len(rest):
        return shown, ()
    return shown, (("Link", f'<{path}?{urlencode({"last": shown[-1], "n": text})}>; rel="next"'),)


def _json(document: dict[str, Any], headers: Headers) -> Answer:
    return Answer(HTTPStatus.OK, (("Content-Type", JSON), *headers), json.dumps(document).encode())
