"""The points of the distribution-spec's conformance suite, under the suite's names. Source: its `conformance/run.go`.

A check raises AssertionError where a registry does something else than the specification asks for.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from urllib.parse import urlencode

from tests.conformance.registry_asking import ACCEPT, OCI_INDEX, OCTETS, Asking, Reply, digest_of, located, with_query
from tests.conformance.registry_data import Data

SIZE = 2048
RANGES = (("500-1499", 500, 1499), ("500-", 500, 2047), ("-500", 1548, 2047), ("2000-5000", 2000, 2047))
MISSING = digest_of(b"nobody has pushed this")


def fresh() -> str:
    """A repository that isn't there yet."""
    return f"conformance/{secrets.token_hex(4)}"


def blob() -> bytes:
    """Bytes that no registry has."""
    return random.randbytes(SIZE)


def assert_blob(ask: Asking, location: str, data: bytes, algorithm: str = "sha256") -> None:
    """There is this blob, by GET and by HEAD."""
    for method in ("GET", "HEAD"):
        reply = ask(method, location)
        assert reply.status == 200
        assert reply.headers["Content-Length"] == str(len(data))
        assert reply.headers["Docker-Content-Digest"] in (None, digest_of(data, algorithm))
        assert reply.body == (data if method == "GET" else b"")


def assert_created(ask: Asking, reply: Reply, data: bytes, algorithm: str = "sha256") -> None:
    """The reply says that a blob is there, and where."""
    assert reply.status == 201
    assert reply.headers["Docker-Content-Digest"] in (None, digest_of(data, algorithm))
    assert_blob(ask, located(reply), data, algorithm)


def check_ping(ask: Asking) -> None:
    assert ask("GET", "/v2/").status == 200


def check_empty_tag_list(ask: Asking) -> None:
    assert ask("GET", f"/v2/{fresh()}/tags/list").status in {200, 404}


def check_empty_referrers(ask: Asking) -> None:
    reply = ask("GET", f"/v2/{fresh()}/referrers/{MISSING}")
    assert (reply.status, reply.headers["Content-Type"]) == (200, OCI_INDEX)
    assert reply.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


def check_empty(ask: Asking) -> None:
    check_empty_tag_list(ask)
    check_empty_referrers(ask)


def check_push_blob_post_only(ask: Asking) -> None:
    data, repository = blob(), fresh()
    target = f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}"
    assert ask("POST", target, data + b"oh no", OCTETS).status == 400
    assert_created(ask, ask("POST", target, data, OCTETS), data)


def check_push_blob_post_put(ask: Asking) -> None:
    data, repository = blob(), fresh()
    target = with_query(ask.begin(repository), f"digest={digest_of(data)}")
    assert ask("PUT", target, data + b"oh no", OCTETS).status == 400
    target = with_query(ask.begin(repository), f"digest={digest_of(data)}")
    assert_created(ask, ask("PUT", target, data, OCTETS), data)


def send_chunks(ask: Asking, data: bytes, *, put_last: bool, out_of_order: bool, digest: str = "") -> Reply:
    """Send a blob in three chunks; before each, perhaps one that isn't its turn, and the way back from that."""
    location, chunk, start = ask.begin(fresh()), len(data) // 3 + 1, 0
    digest = digest or digest_of(data)
    while start < len(data):
        if out_of_order:
            wrong = start + chunk if start + chunk < len(data) else 0
            piece = data[wrong : wrong + chunk]
            reply = ask("PATCH", location, piece, {"Content-Range": f"{wrong}-{wrong + len(piece) - 1}"})
            assert reply.status == 416
            status = ask("GET", located(reply))
            assert status.status == 204
            assert status.headers["Range"] == f"0-{max(0, start - 1)}"
            location = located(status)
        piece = data[start : start + chunk]
        headers = OCTETS | {"Content-Range": f"{start}-{start + len(piece) - 1}"}
        start += len(piece)
        if put_last and start == len(data):
            return ask("PUT", with_query(location, f"digest={digest}"), piece, headers)
        reply = ask("PATCH", location, piece, headers)
        assert reply.status == 202
        assert reply.headers["Range"] == f"0-{start - 1}"
        location = located(reply)
    return ask("PUT", with_query(location, f"digest={digest}"), b"", OCTETS)


def check_push_blob_patch_chunked(ask: Asking) -> None:
    for put_last in (False, True):
        for out_of_order in (False, True):
            data = blob()
            assert_created(ask, send_chunks(ask, data, put_last=put_last, out_of_order=out_of_order), data)
        assert send_chunks(ask, blob(), put_last=put_last, out_of_order=False, digest=MISSING).status == 400


def check_push_blob_patch_stream(ask: Asking) -> None:
    data = blob()
    for digest, status in ((MISSING, 400), (digest_of(data), 201)):
        reply = ask("PATCH", ask.begin(fresh()), iter([data[:500], data[500:]]), OCTETS)
        assert reply.status == 202
        reply = ask("PUT", with_query(located(reply), f"digest={digest}"), b"", OCTETS)
        assert reply.status == status
    assert_created(ask, reply, data)


def check_push_blob_any(ask: Asking) -> None:
    """Of any content and either algorithm."""
    for algorithm in ("sha256", "sha512"):
        for data in (b"", b"{}", blob()):
            repository = fresh()
            digest = ask.push_blob(repository, data, algorithm)
            assert_blob(ask, f"/v2/{repository}/blobs/{digest}", data, algorithm)


def check_push_blob_mount(ask: Asking) -> None:
    data, source, repository = blob(), fresh(), fresh()
    digest = ask.push_blob(source, data)
    assert_created(ask, ask("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}&from={source}"), data)
    assert_blob(ask, f"/v2/{repository}/blobs/{digest}", data)


def check_push_blob_mount_anonymous(ask: Asking) -> None:
    data, repository = blob(), fresh()
    digest = ask.push_blob(fresh(), data)
    assert_created(ask, ask("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}"), data)


def check_push_blob_mount_missing(ask: Asking) -> None:
    data, repository = blob(), fresh()
    reply = ask("POST", f"/v2/{repository}/blobs/uploads/?mount={digest_of(data)}&from={fresh()}")
    assert reply.status == 202
    assert_created(ask, ask("PUT", with_query(located(reply), f"digest={digest_of(data)}"), data, OCTETS), data)


def check_push_blob_post_cancel(ask: Asking) -> None:
    location = ask.begin(fresh())
    assert ask("DELETE", location).status == 204
    assert ask("GET", location).status == 404


def check_pull_blob(ask: Asking) -> None:
    """Whole, in parts, and one that isn't there."""
    data, repository = blob(), fresh()
    target = f"/v2/{repository}/blobs/{ask.push_blob(repository, data)}"
    assert_blob(ask, target, data)
    for asked, start, end in RANGES:
        reply = ask("GET", target, headers={"Range": f"bytes={asked}"})
        assert (reply.status, reply.body) == (206, data[start : end + 1])
        assert reply.headers["Content-Range"] == f"bytes {start}-{end}/{SIZE}"
    assert ask("GET", target, headers={"Range": "bytes=5000-10000"}).status == 416
    missing = ask("GET", f"/v2/{repository}/blobs/{MISSING}")
    assert (missing.status, missing.codes) == (404, ["BLOB_UNKNOWN"])


def check_range_that_ends_before_it_begins(ask: Asking) -> None:
    repository = fresh()
    target = f"/v2/{repository}/blobs/{ask.push_blob(repository, blob())}"
    assert ask("GET", target, headers={"Range": "bytes=500-0"}).status == 416


def check_head_blob(ask: Asking) -> None:
    repository = fresh()
    digest = ask.push_blob(repository, blob())
    assert ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200
    assert ask("HEAD", f"/v2/{repository}/blobs/{MISSING}").status == 404


def check_delete_blob(ask: Asking) -> None:
    repository = fresh()
    target = f"/v2/{repository}/blobs/{ask.push_blob(repository, blob())}"
    assert ask("DELETE", target).status == 202
    assert ask("HEAD", target).status == 404
    assert ask("DELETE", target).status == 404


def check_blob_apis(ask: Asking) -> None:
    """A blob that was cancelled isn't there, and one that is deleted can be pushed again."""
    data, repository = blob(), fresh()
    target = f"/v2/{repository}/blobs/{digest_of(data)}"
    check_push_blob_post_cancel(ask)
    assert ask("GET", target).status == 404
    for _ in range(2):
        ask.push_blob(repository, data)
        assert_blob(ask, target, data)
        assert ask("DELETE", target).status == 202


def check_manifest_errors(ask: Asking) -> None:
    data, repository = Data(), fresh()
    data.image()
    push_blobs(ask, data, repository)
    [(media_type, document)] = data.documents.values()
    for reference in (MISSING, "missing-tag"):
        reply = ask("GET", f"/v2/{repository}/manifests/{reference}", headers=ACCEPT)
        assert (reply.status, reply.codes) == (404, ["MANIFEST_UNKNOWN"])
    bad = f"/v2/{repository}/manifests/sha256:baddigeststring"
    assert ask("GET", bad, headers=ACCEPT).status in {400, 404}
    assert ask("PUT", bad, document, {"Content-Type": media_type}).status == 400
    other = f"/v2/{repository}/manifests/{MISSING}"
    reply = ask("PUT", other, document + b"  ", {"Content-Type": media_type})
    assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])


def check_unknown_parts(ask: Asking) -> None:
    """A document is refused whose blobs aren't here."""
    data = Data()
    data.image("x")
    [(media_type, document)] = data.documents.values()
    reply = ask("PUT", f"/v2/{fresh()}/manifests/x", document, {"Content-Type": media_type})
    assert reply.status == 404
    assert set(reply.codes) == {"MANIFEST_BLOB_UNKNOWN"}


def check_tag_pages(ask: Asking) -> None:
    """`n` and `last`, and the link to the next page."""
    data, repository = Data(), fresh()
    for tag in ("a", "b", "c", "d", "e"):
        data.image(tag, layers=0)
    check_push(ask, data, repository)
    first = ask("GET", f"/v2/{repository}/tags/list?n=2")
    assert first.json() == {"name": repository, "tags": ["a", "b"]}
    link = first.headers["Link"]
    assert link.endswith('>; rel="next"')
    assert ask("GET", link.strip("<").partition(">")[0]).json()["tags"] == ["c", "d"]
    rest = ask("GET", f"/v2/{repository}/tags/list?last=c")
    assert (rest.json()["tags"], rest.headers["Link"]) == (["d", "e"], None)
    assert ask("GET", f"/v2/{repository}/tags/list?n=5").headers["Link"] is None


def push_blobs(ask: Asking, data: Data, repository: str) -> None:
    for content in data.blobs.values():
        ask.push_blob(repository, content, data.algorithm)


def put(ask: Asking, data: Data, repository: str, reference: str, digest: str, query: str = "") -> Reply:
    """Push a document; what the reply says of it is true."""
    media_type, content = data.documents[digest]
    reply = ask("PUT", f"/v2/{repository}/manifests/{reference}{query}", content, {"Content-Type": media_type})
    assert reply.status == 201, reply.body
    assert reply.headers["Docker-Content-Digest"] in (None, digest)
    assert_document(ask, located(reply), data, digest)
    return reply


def assert_document(ask: Asking, location: str, data: Data, digest: str, methods: tuple[str, ...] = ("GET",)) -> None:
    """There is this document, byte for byte."""
    media_type, content = data.documents[digest]
    for method in methods:
        reply = ask(method, location, headers=ACCEPT)
        assert (reply.status, reply.headers["Content-Type"]) == (200, media_type)
        assert reply.headers["Content-Length"] == str(len(content))
        assert reply.headers["Docker-Content-Digest"] in (None, digest)
        assert reply.body == (content if method == "GET" else b"")


def check_push_manifest_digest(ask: Asking, data: Data, repository: str) -> None:
    for digest in data.documents:
        tags = [tag for tag, named in data.tags.items() if named == digest] if data.by_parameter else []
        query = "&".join(f"tag={tag}" for tag in tags)
        reply = put(ask, data, repository, digest, digest, f"?{query}" if query else "")
        assert (reply.headers.get_all("OCI-Tag") or []) == tags
        assert_subject(reply, data, digest)


def check_push_manifest_tag(ask: Asking, data: Data, repository: str) -> None:
    for tag, digest in data.tags.items():
        if not data.by_parameter:
            assert_subject(put(ask, data, repository, tag, digest), data, digest)


def assert_subject(reply: Reply, data: Data, digest: str) -> None:
    """The reply names the document's subject, if it has one."""
    subjects = [subject for subject, found in data.referrers.items() if digest in {each["digest"] for each in found}]
    assert reply.headers["OCI-Subject"] == next(iter(subjects), None)


def check_push(ask: Asking, data: Data, repository: str) -> None:
    push_blobs(ask, data, repository)
    check_push_manifest_digest(ask, data, repository)
    check_push_manifest_tag(ask, data, repository)


def check_list(ask: Asking, data: Data, repository: str) -> None:
    if not data.tags:
        return
    tags = sorted(data.tags)
    assert ask("GET", f"/v2/{repository}/tags/list").json() == {"name": repository, "tags": tags}
    assert ask("GET", f"/v2/{repository}/tags/list?last={tags[0]}").json()["tags"] == tags[1:]


def check_head_manifest_digest(ask: Asking, data: Data, repository: str) -> None:
    for digest in data.documents:
        assert_document(ask, f"/v2/{repository}/manifests/{digest}", data, digest, ("HEAD",))


def check_head_manifest_tag(ask: Asking, data: Data, repository: str) -> None:
    for tag, digest in data.tags.items():
        assert_document(ask, f"/v2/{repository}/manifests/{tag}", data, digest, ("HEAD",))


def check_head(ask: Asking, data: Data, repository: str) -> None:
    check_head_manifest_tag(ask, data, repository)
    check_head_manifest_digest(ask, data, repository)


def check_pull_manifest_digest(ask: Asking, data: Data, repository: str) -> None:
    for digest in data.documents:
        assert_document(ask, f"/v2/{repository}/manifests/{digest}", data, digest)


def check_pull_manifest_tag(ask: Asking, data: Data, repository: str) -> None:
    for tag, digest in data.tags.items():
        assert_document(ask, f"/v2/{repository}/manifests/{tag}", data, digest)


def check_pull(ask: Asking, data: Data, repository: str) -> None:
    check_pull_manifest_tag(ask, data, repository)
    check_pull_manifest_digest(ask, data, repository)
    for digest, content in data.blobs.items():
        assert_blob(ask, f"/v2/{repository}/blobs/{digest}", content, data.algorithm)


def check_referrers(ask: Asking, data: Data, repository: str) -> None:
    for subject, expected in data.referrers.items():
        target = f"/v2/{repository}/referrers/{subject}"
        found = ask("GET", target).json()["manifests"]
        assert found == sorted(expected, key=lambda each: str(each["digest"]))
        for kind in {each["artifactType"] for each in expected}:
            reply = ask("GET", with_query(target, urlencode({"artifactType": kind})))
            assert reply.headers["OCI-Filters-Applied"] == "artifactType"
            assert reply.json()["manifests"] == [each for each in found if each.get("artifactType") == kind]


def check_delete_tag(ask: Asking, data: Data, repository: str) -> None:
    for tag, digest in data.tags.items():
        assert ask("DELETE", f"/v2/{repository}/manifests/{tag}").status == 202
        assert ask("HEAD", f"/v2/{repository}/manifests/{tag}", headers=ACCEPT).status == 404
        assert ask("HEAD", f"/v2/{repository}/manifests/{digest}", headers=ACCEPT).status == 200


def check_delete_manifest(ask: Asking, data: Data, repository: str) -> None:
    for digest in reversed(data.documents):
        assert ask("DELETE", f"/v2/{repository}/manifests/{digest}").status == 202
        assert ask("HEAD", f"/v2/{repository}/manifests/{digest}", headers=ACCEPT).status == 404
    for subject in data.referrers:
        assert ask("GET", f"/v2/{repository}/referrers/{subject}").json()["manifests"] == []


def check_delete(ask: Asking, data: Data, repository: str) -> None:
    check_delete_tag(ask, data, repository)
    check_delete_manifest(ask, data, repository)
    for digest in data.blobs:
        assert ask("DELETE", f"/v2/{repository}/blobs/{digest}").status == 202
        assert ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 404


CHECKS: tuple[Callable[[Asking], None], ...] = (
    check_ping,
    check_empty,
    check_empty_tag_list,
    check_empty_referrers,
    check_blob_apis,
    check_push_blob_any,
    check_push_blob_post_only,
    check_push_blob_post_put,
    check_push_blob_patch_chunked,
    check_push_blob_patch_stream,
    check_push_blob_mount,
    check_push_blob_mount_anonymous,
    check_push_blob_mount_missing,
    check_push_blob_post_cancel,
    check_pull_blob,
    check_range_that_ends_before_it_begins,
    check_head_blob,
    check_delete_blob,
    check_manifest_errors,
    check_unknown_parts,
    check_tag_pages,
)
WORKFLOW: tuple[Callable[[Asking, Data, str], None], ...] = (
    check_push,
    check_list,
    check_head,
    check_pull,
    check_referrers,
    check_delete,
)
