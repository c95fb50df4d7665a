"""Uploads of blobs, and documents. Source: distribution-spec "Push"; Docker-Upload-UUID and Range are Docker's."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from dockmagic.errors import InvalidManifest
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import Index, Manifest, parse_manifest
from dockmagic.registry.content import Document, Writable
from dockmagic.registry.faults import Fault, Headers
from dockmagic.registry.messages import Answer, Request
from dockmagic.registry.routes import digest_of, reference_of, tag_of
from dockmagic.registry.uploads import Upload

MANIFEST_LIMIT: Final = 4 << 20
_RANGE: Final = re.compile(r"(?:bytes )?(\d{1,19})-(\d{1,19})(?:/.*)?")  # Docker's clients once wrote it as HTTP has it


def post_upload(request: Request, content: Writable) -> Answer:
    """A new upload; or the blob itself, where it comes with the request, or is to be had from another repository."""
    repository = request.route.repository
    if mount := request.parameter("mount"):
        digest = digest_of(mount)
        if content.mount(repository, digest, request.parameter("from") or None):
            return _created(repository, digest)
    expected = digest_of(request.parameter("digest")) if request.parameter("digest") else None
    upload = content.uploads.begin(repository)
    if expected is None:
        return _under_way(HTTPStatus.ACCEPTED, upload)
    with upload.lock:
        return _finish(upload, expected, request, content)


def patch_upload(request: Request, content: Writable) -> Answer:
    """The next bytes of an upload."""
    with content.uploads.held(request.route.repository, request.route.identifier) as upload:
        _check_range(request, upload)
        upload.write(request.body.chunks())
        return _under_way(HTTPStatus.ACCEPTED, upload)


def put_upload(request: Request, content: Writable) -> Answer:
    """The end of an upload, perhaps with its last bytes: it is a blob now."""
    expected = digest_of(request.parameter("digest"))
    with content.uploads.held(request.route.repository, request.route.identifier) as upload:
        _check_range(request, upload)
        return _finish(upload, expected, request, content)


def get_upload(request: Request, content: Writable) -> Answer:
    """How far an upload is."""
    with content.uploads.held(request.route.repository, request.route.identifier) as upload:
        return _under_way(HTTPStatus.NO_CONTENT, upload)


def delete_upload(request: Request, content: Writable) -> Answer:
    """Give an upload up."""
    with content.uploads.held(request.route.repository, request.route.identifier) as upload:
        content.uploads.end(upload)
    return Answer(HTTPStatus.NO_CONTENT)


def put_manifest(request: Request, content: Writable) -> Answer:
    """Store a manifest or index under a tag, or under its digest and, by `?tag=`, any number of tags."""
    repository = request.route.repository
    reference = reference_of(request.route.identifier)
    asked = [tag_of(tag) for tag in request.query.get("tag", ())]
    tags = asked if isinstance(reference, Digest) else [reference]
    data = request.body.read(MANIFEST_LIMIT)
    document, parsed = _document(data, request.headers.get("Content-Type", ""), reference)
    content.put_manifest(repository, document, parsed, tags)
    told = [
        ("Location", f"/v2/{repository}/manifests/{document.digest}"),
        ("Docker-Content-Digest", document.digest),
        *([("OCI-Subject", parsed.subject.digest)] if parsed.subject is not None else ()),
        *(("OCI-Tag", tag) for tag in tags if isinstance(reference, Digest)),
    ]
    return Answer(HTTPStatus.CREATED, tuple(told))


def _document(data: bytes, media_type: str, reference: str | Digest) -> tuple[Document, Manifest | Index]:
    """The document that came; raises Fault where it is none, or isn't what its digest says."""
    algorithm = reference.algorithm if isinstance(reference, Digest) else "sha256"
    digest = Digest.of(data, algorithm)
    if isinstance(reference, Digest) and digest != reference:
        raise Fault("DIGEST_INVALID", f"the document is {digest}, and not {reference}")
    try:
        parsed = parse_manifest(data, media_type)
    except InvalidManifest as error:
        raise Fault("MANIFEST_INVALID", str(error)) from error
    return Document(parsed.media_type, digest, data), parsed


def _finish(upload: Upload, expected: Digest, request: Request, content: Writable) -> Answer:
    """Take the last bytes and make the upload a blob; one that isn't what it should be is given up."""
    upload.write(request.body.chunks())
    try:
        content.adopt(upload, expected)
    finally:
        content.uploads.end(upload)
    return _created(upload.repository, expected)


def _check_range(request: Request, upload: Upload) -> None:
    """Raise Fault unless the bytes that come are the next ones."""
    text = request.headers.get("Content-Range")
    if text is None:
        return
    match = _RANGE.fullmatch(text)
    if match is None or int(match[2]) < int(match[1]):
        raise Fault("BLOB_UPLOAD_INVALID", f"Content-Range: {text[:80]!r} isn't of the form FIRST-LAST")
    length = int(match[2]) - int(match[1]) + 1
    if request.body.length is not None and request.body.length != length:
        raise Fault("SIZE_INVALID", f"Content-Range stands for {length} bytes, but {request.body.length} are announced")
    if int(match[1]) != upload.size:
        message = f"the upload has {upload.size} bytes, so that the next one is {upload.size}, and not {match[1]}"
        status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        raise Fault("BLOB_UPLOAD_INVALID", message, status=status, headers=_place(upload))


def _under_way(status: HTTPStatus, upload: Upload) -> Answer:
    """Where the upload goes on, and what is here of it."""
    return Answer(status, _place(upload))


def _place(upload: Upload) -> Headers:
    return (
        ("Location", f"/v2/{upload.repository}/blobs/uploads/{upload.name}"),
        ("Range", f"0-{max(0, upload.size - 1)}"),
        ("Docker-Upload-UUID", upload.name),
    )


def _created(repository: str, digest: Digest) -> Answer:
    """That a blob is in the repository now."""
    headers = (("Location", f"/v2/{repository}/blobs/{digest}"), ("Docker-Content-Digest", digest))
    return Answer(HTTPStatus.CREATED, headers)
