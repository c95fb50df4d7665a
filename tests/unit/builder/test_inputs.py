"""ADD of URLs, as whole builds; of repositories in tests/integration."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.builder.inputs import size_words
from dockmagic.errors import BuildError, DockerfileError
from dockmagic.events import BuildOutput, StepState
from tests.unit.builder.lab import Lab, fill
from tests.unit.image.fake_server import FakeServer, Reply, Request, serving

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


def revalidating(body: bytes, etag: str) -> Reply | object:
    """Serves the body to who hasn't it."""

    def answer(request: Request) -> Reply:
        return Reply(304) if request.headers.get("If-None-Match") == etag else Reply(200, body, {"ETag": etag})

    return answer


def archive() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("inside"), io.BytesIO())
    return data.getvalue()


@pytest.mark.parametrize(
    ("source", "to", "made"),
    [
        ("f.txt", "/new", ["new"]),
        ("f.txt", "/new/", ["new/", "new/f.txt"]),
        ("f.txt", "/", ["f.txt"]),
        ("d/f%20g?x=y/z#w", "/a/", ["a/", "a/f g"]),
        ("", "/named", ["named"]),
    ],
)
def test_where_downloads_go(lab: Lab, server: FakeServer, source: str, to: str, made: list[str]) -> None:
    server.routes = {f"/{path}": Reply(200, b"x") for path in ("f.txt", "d/f%20g", "")}
    image = lab.build(f"FROM scratch\nADD {server.url}/{source} {to}\n")
    assert lab.listing(image) == made


def test_what_a_download_is(lab: Lab, server: FakeServer) -> None:
    server.routes = {"/f": Reply(200, b"content", {"Last-Modified": DATE})}
    image = lab.build(f"FROM base\nADD {server.url}/f /f\nADD --chmod=u+x,go=r {server.url}/f /g\n")
    found = [lab.tree(image).lookup(path) for path in ("f", "g")]
    modes = [stat.S_IMODE(each.status.st_mode) for each in found if each is not None]
    assert modes == [0o600, 0o744]
    assert found[0] is not None
    assert found[0].status.st_mtime == 1700000000
    assert lab.read(image, "f") == "content"
    said = b"".join(event.data for event in lab.events if isinstance(event, BuildOutput)).decode()
    assert f"downloaded {server.url}/f (7 bytes)" in said
    assert image.config.history[-2].created_by == f"ADD {server.url}/f /f # buildkit"


def test_a_name_is_needed_in_a_directory(lab: Lab, server: FakeServer) -> None:
    server.routes = {"/": Reply(200, b"x"), "/a/..": Reply(200, b"x")}
    for address, to in (("", "/x/"), ("/", "/etc"), ("/a/..", "/x/")):
        with pytest.raises(BuildError, match=r"Dockerfile:2: the address ends with no file's name; write one after"):
            lab.build(f"FROM base\nADD {server.url}{address} {to}\n")


def test_a_download_is_asked_for_again_but_sent_only_if_it_changed(lab: Lab, server: FakeServer) -> None:
    server.routes["/f"] = revalidating(b"one", '"1"')  # type: ignore[assignment]  # what it returns is an answerer
    text = f"FROM base\nADD {server.url}/f /f\n"
    first = lab.build(text)
    second = lab.build(text)
    assert (second.id, lab.ended()[-1]) == (first.id, StepState.CACHED)
    other = lab.build(f"FROM base\nWORKDIR /new\nADD {server.url}/f /f\n")  # known, but needed on another base
    assert lab.read(other, "f") == "one"
    server.routes["/f"] = revalidating(b"two", '"2"')  # type: ignore[assignment]  # as above
    third = lab.build(text)
    assert (lab.read(third, "f"), lab.ended()[-1]) == ("two", StepState.DONE)
    assert len(server.requests) == 5


def test_the_content_counts_and_not_the_time(lab: Lab, server: FakeServer) -> None:
    text = f"FROM base\nADD {server.url}/f /f\n"
    server.routes = {"/f": Reply(200, b"same", {"Last-Modified": DATE})}
    lab.build(text)
    server.routes = {"/f": Reply(200, b"same", {"Last-Modified": DATE.replace("14", "15")})}
    lab.build(text)
    assert lab.ended()[-1] is StepState.CACHED


def test_a_server_that_changes_its_mind(lab: Lab, server: FakeServer) -> None:
    server.routes["/f"] = revalidating(b"one", '"1"')  # type: ignore[assignment]  # as above
    lab.build(f"FROM base\nADD {server.url}/f /f\n")

    def answer(request: Request) -> Reply:
        return Reply(304) if "If-None-Match" in request.headers else Reply(200, b"two")

    server.routes["/f"] = answer
    with pytest.raises(BuildError, match=r"expected sha256:\w+, got sha256:\w+; .* build again"):
        lab.build(f"FROM base\nADD {server.url}/f /g\n")


def test_checksums(lab: Lab, server: FakeServer) -> None:
    server.routes = {"/f": Reply(200, b"content")}
    digest = hashlib.sha256(b"content").hexdigest()
    text = f"FROM base\nADD --checksum=sha256:{digest} {server.url}/f /f\n"
    assert lab.read(lab.build(text), "f") == "content"
    lab.build(text)
    assert lab.ended()[-1] is StepState.CACHED
    assert len(server.requests) == 1  # nobody needs to ask for what is known by its digest
    with pytest.raises(BuildError, match=f"Dockerfile:2: .*expected sha256:{'0' * 64}, got sha256:{digest}"):
        lab.build(text.replace(digest, "0" * 64))
    with pytest.raises(DockerfileError, match=r"(?s)Dockerfile:2: .*isn't sha256: .*2 \| ADD.*\^\^\^"):
        lab.build(text.replace(digest, "0"))


def test_no_cache_downloads_again(lab: Lab, server: FakeServer) -> None:
    server.routes["/f"] = revalidating(b"one", '"1"')  # type: ignore[assignment]  # as above
    for _ in range(2):
        lab.build(f"FROM base\nADD {server.url}/f /f\n", no_cache=True)
    assert all("If-None-Match" not in request.headers for request in server.requests)


@pytest.mark.parametrize(
    ("flag", "local", "remote"),
    [("", True, False), ("--unpack=true", True, True), ("--unpack=false", False, False), ("--unpack", True, True)],
)
def test_what_is_unpacked(lab: Lab, server: FakeServer, context: Path, flag: str, local: bool, remote: bool) -> None:
    server.routes = {"/r.tgz": Reply(200, archive())}
    (context / "l.tgz").write_bytes(archive())
    for source, unpacked in (("l.tgz", local), (f"{server.url}/r.tgz", remote)):
        image = lab.build(f"FROM scratch\nADD {flag} {source} /d/\n", context)
        assert lab.listing(image) == ["d/", "d/inside" if unpacked else f"d/{source[-5:]}"]


def test_files_and_downloads_together(lab: Lab, server: FakeServer, context: Path) -> None:
    fill(context, {"a": "a", "b.o": ""})
    server.routes = {"/c": Reply(200, b"c"), "/d.o": Reply(200, b"")}
    text = f"FROM scratch\nADD --link --exclude=*.o . {server.url}/c {server.url}/d.o <<e /x/\nhi\ne\n"
    image = lab.build(text, context)
    assert lab.listing(image) == ["x/", "x/a", "x/c", "x/e"]
    lab.build(text, context)
    assert lab.ended()[-1] is StepState.CACHED
    fill(context, {"a": "changed"})
    assert lab.read(lab.build(text, context), "x/a") == "changed"


def test_a_copy_from_a_stage_has_no_addresses(lab: Lab) -> None:
    with pytest.raises(DockerfileError, match="COPY takes files, not addresses; use ADD"):
        lab.build("FROM base AS a\nFROM base\nARG U=https://example.com/x\nCOPY --from=a $U /x\n")


def test_a_failed_download_leaves_nothing(lab: Lab, server: FakeServer) -> None:
    server.routes = {"/f": Reply(200, b"half", length=99)}
    with pytest.raises(BuildError, match=r"(?s)Dockerfile:2: .*broke off.*2 \| ADD"):
        lab.build(f"FROM base\nADD {server.url}/f /f\n")
    server.routes = {"/f": Reply(200, b"whole")}
    assert lab.read(lab.build(f"FROM base\nADD {server.url}/f /f\n"), "f") == "whole"


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (5_500_000, "5.5 MB"), (3 * 10**13, "30000.0 GB")],
)
def test_sizes(size: int, words: str) -> None:
    assert size_words(size) == words


def test_a_private_url(lab: Lab, server: FakeServer) -> None:
    def answer(request: Request) -> Reply:
        return Reply(200, b"x") if request.headers.get("Authorization") == "Bearer s3cret" else Reply(401)

    server.routes = {"/a": answer}
    text = f"FROM scratch\nADD {server.url}/a /\n"
    assert lab.read(lab.build(text, secrets={"HTTP_AUTH_TOKEN_127.0.0.1": b"s3cret\n"}), "a") == "x"
    assert not any("s3cret" in path.read_text("latin-1") for path in lab.root.rglob("*") if path.is_file())
    lab.build(text, secrets={"HTTP_AUTH_HEADER_127.0.0.1": b"Bearer s3cret"})
    assert lab.ended()[-1] is StepState.CACHED
    for wrong in ({}, {"HTTP_AUTH_TOKEN_127.0.0.1": b"wr0ng"}, {"HTTP_AUTH_TOKEN_localhost": b"s3cret"}):
        with pytest.raises(BuildError, match="401 Unauthorized; it may want a token, or another one") as caught:
            lab.build(text, secrets=wrong)
        assert "wr0ng" not in str(caught.value)
    with pytest.raises(BuildError, match=r"Dockerfile:2: the secret HTTP_AUTH_TOKEN_127\.0\.0\.1 has characters"):
        lab.build(text, secrets={"HTTP_AUTH_TOKEN_127.0.0.1": b"a\r\nX-Other: b"})
