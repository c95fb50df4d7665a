"""Which request is answered by what. Source: distribution-spec "Endpoints"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from dockmagic.registry import listing, pulling, pushing, removing
from dockmagic.registry.content import Content, Writable
from dockmagic.registry.faults import Fault
from dockmagic.registry.messages import Answer, Request
from dockmagic.registry.routes import Kind

_READS: Final[Mapping[Kind, Callable[[Request, Content], Answer]]] = {
    Kind.BASE: pulling.get_base,
    Kind.MANIFEST: pulling.get_manifest,
    Kind.BLOB: pulling.get_blob,
    Kind.TAGS: listing.get_tags,
    Kind.CATALOG: listing.get_catalog,
    Kind.REFERRERS: listing.get_referrers,
}
_WRITES: Final[Mapping[tuple[str, Kind], Callable[[Request, Writable], Answer]]] = {
    ("POST", Kind.UPLOADS): pushing.post_upload,
    ("GET", Kind.UPLOAD): pushing.get_upload,
    ("PATCH", Kind.UPLOAD): pushing.patch_upload,
    ("PUT", Kind.UPLOAD): pushing.put_upload,
    ("DELETE", Kind.UPLOAD): pushing.delete_upload,
    ("PUT", Kind.MANIFEST): pushing.put_manifest,
    ("DELETE", Kind.MANIFEST): removing.delete_manifest,
    ("DELETE", Kind.BLOB): removing.delete_blob,
}


@dataclass(frozen=True, slots=True)
class Api:
    """The API on a content; without `delete` nothing that was pushed can be taken away."""

    content: Content
    read_only: bool = False
    delete: bool = True

    def answer(self, request: Request) -> Answer:
        """The answer to a request; raises Fault for one that is refused."""
        kind = request.route.kind
        write = _WRITES.get((request.method, kind))
        if write is not None:
            return write(request, self._writable(request))
        read = _READS.get(kind)
        if read is None or request.method not in {"GET", "HEAD"}:
            raise Fault("UNSUPPORTED", f"{request.method} isn't possible here", headers=(("Allow", "GET, HEAD"),))
        namespace = request.parameter("ns")
        name = self.content.resolve(request.route.repository, namespace) if request.route.repository else ""
        return read(replace(request, route=replace(request.route, repository=name)), self.content)

    def _writable(self, request: Request) -> Writable:
        """The content, to be changed; raises Fault where it mustn't be."""
        if self.read_only or not isinstance(self.content, Writable):
            raise Fault("UNSUPPORTED", "this registry is read-only; nothing can be pushed to it, or deleted")
        if request.method == "DELETE" and request.route.kind is not Kind.UPLOAD and not self.delete:
            raise Fault("UNSUPPORTED", "this registry deletes nothing")
        return self.content
