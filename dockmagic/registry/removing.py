"""Taking tags, documents and blobs away. Source: distribution-spec "Content Management"."""

from __future__ import annotations

from http import HTTPStatus

from dockmagic.oci.digest import Digest
from dockmagic.registry.content import Writable
from dockmagic.registry.messages import Answer, Request
from dockmagic.registry.routes import digest_of, reference_of


def delete_manifest(request: Request, content: Writable) -> Answer:
    """Take a tag away; or a document by its digest, and with it the tags that stand for it."""
    reference = reference_of(request.route.identifier)
    if isinstance(reference, Digest):
        content.delete_manifest(request.route.repository, reference)
    else:
        content.delete_tag(request.route.repository, reference)
    return Answer(HTTPStatus.ACCEPTED)


def delete_blob(request: Request, content: Writable) -> Answer:
    """Take a blob away from its repository."""
    content.delete_blob(request.route.repository, digest_of(request.route.identifier))
    return Answer(HTTPStatus.ACCEPTED)
