from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.registry.faults import Fault
from dockmagic.registry.routes import Kind, Route, reference_of, route_of, tag_of

DIGEST = f"sha256:{'0' * 64}"
PIECES = ["v2", "a", "..", ".", "", "%2e%2e", "%2f", "_blobs", "blobs", "uploads", "manifests", "tags", "list", "\0"]


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2", Route(Kind.BASE)),
        ("/v2/", Route(Kind.BASE)),
        ("/v2/_catalog", Route(Kind.CATALOG)),
        ("/v2/a/tags/list", Route(Kind.TAGS, "a")),
        ("/v2/a/b/c/manifests/1.0", Route(Kind.MANIFEST, "a/b/c", "1.0")),
        ("/v2/a/manifests/sha256%3A00", Route(Kind.MANIFEST, "a", "sha256:00")),
        ("/v2/a/blobs/x", Route(Kind.BLOB, "a", "x")),
        ("/v2/a/blobs/uploads/", Route(Kind.UPLOADS, "a")),
        ("/v2/a/blobs/uploads", Route(Kind.UPLOADS, "a")),
        ("/v2/a/blobs/uploads/x", Route(Kind.UPLOAD, "a", "x")),
        ("/v2/manifests/manifests/manifests", Route(Kind.MANIFEST, "manifests", "manifests")),
        (f"/v2/a/referrers/{DIGEST}", Route(Kind.REFERRERS, "a", DIGEST)),
    ],
)
def test_paths(path: str, route: Route) -> None:
    assert route_of(path) == route


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/", "UNSUPPORTED"),
        ("/v1/", "UNSUPPORTED"),
        ("/v2/a", "UNSUPPORTED"),
        ("//v2/a/tags/list", "UNSUPPORTED"),
        ("/v2/tags/list", "NAME_INVALID"),
        ("/v2/../a/tags/list", "NAME_INVALID"),
        ("/v2/%2e%2e/a/tags/list", "NAME_INVALID"),
        ("/v2/a%2f..%2fb/tags/list", "NAME_INVALID"),
        ("/v2/a//b/tags/list", "NAME_INVALID"),
        ("/v2/_blobs/tags/list", "NAME_INVALID"),
        ("/v2/A/tags/list", "NAME_INVALID"),
        ("/v2/a:b/tags/list", "NAME_INVALID"),
        ("/v2/a@b/tags/list", "NAME_INVALID"),
        ("/v2/a%00b/tags/list", "NAME_INVALID"),
        (f"/v2/{'a' * 300}/tags/list", "NAME_INVALID"),
    ],
)
def test_paths_that_lead_nowhere(path: str, code: str) -> None:
    with pytest.raises(Fault) as caught:
        route_of(path)
    assert caught.value.code == code


def test_references() -> None:
    assert reference_of("latest") == "latest"
    assert reference_of(DIGEST) == DIGEST
    with pytest.raises(Fault, match="not a digest"):
        reference_of("sha256:../../etc")


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", ".a", "a b", "a@b", "a" * 129, "a\n"])
def test_texts_that_are_no_tags(text: str) -> None:
    with pytest.raises(Fault) as caught:
        tag_of(text)
    assert caught.value.code == "TAG_INVALID"


@given(st.lists(st.sampled_from(PIECES)))
def test_no_path_leads_out_of_the_directory(parts: list[str]) -> None:
    try:
        route = route_of("/" + "/".join(parts))
    except Fault:
        return
    assert not route.repository or all(part[:1].isalnum() for part in route.repository.split("/"))
