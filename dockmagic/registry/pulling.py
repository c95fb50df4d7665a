"""GET and HEAD of documents and blobs. Source: distribution-spec "Pull", RFC 9110 section 14 (Range)."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from dockmagic.oci.digest import Digest
from dockmagic.registry.content import Content
from dockmagic.registry.faults import JSON, Fault
from dockmagic.registry.messages import Answer, Part, Request
from dockmagic.registry.routes import digest_of, reference_of

_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


def get_base(request: Request, content: Content) -> Answer:
    """That this is a registry."""
    return Answer(HTTPStatus.OK, (("Content-Type", JSON),), b"{}")


def get_manifest(request: Request, content: Content) -> Answer:
    """A manifest or index, byte for byte; raises Fault."""
    try:
        reference = reference_of(request.route.identifier)
    except Fault as fault:
        if fault.code != "TAG_INVALID":
            raise
        raise Fault("MANIFEST_UNKNOWN", str(fault)) from fault  # nothing can have this name
    document = content.manifest(request.route.repository, reference)
    headers = (("Content-Type", document.media_type), ("Docker-Content-Digest", document.digest))
    return Answer(HTTPStatus.OK, headers, document.data)


def get_blob(request: Request, content: Content) -> Answer:
    """A blob, or the part of it that was asked for; raises Fault."""
    digest = digest_of(request.route.identifier)
    path = content.blob(request.route.repository, digest)
    size = path.stat().st_size
    asked = _asked(request.headers.get("Range", ""), size)
    if asked is None:
        return Answer(HTTPStatus.OK, _headers(digest), Part(path, 0, size))
    start, end = asked
    if start > end:
        beyond = (("Content-Range", f"bytes */{size}"),)
        status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        raise Fault("SIZE_INVALID", f"the blob has {size} bytes, and not this range", status=status, headers=beyond)
    headers = (*_headers(digest), ("Content-Range", f"bytes {start}-{end}/{size}"))
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, Part(path, start, end - start + 1))


def _headers(digest: Digest) -> tuple[tuple[str, str], ...]:
    return (
        ("Content-Type", "application/octet-stream"),
        ("Docker-Content-Digest", digest),
        ("Accept-Ranges", "bytes"),
    )


def _asked(text: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a Range header, not beyond the end; None for all, as of several ranges or of none.

    Where there is no such byte, the first is behind the last.
    """
    match = _RANGE.fullmatch(text)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
