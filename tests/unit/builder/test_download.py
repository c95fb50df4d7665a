from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.builder.cache import Download
from dockmagic.builder.download import download
from dockmagic.errors import BuildError
from tests.unit.image.fake_server import FakeServer, Reply, Request, nobody_listens, serving

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


def test_the_content_its_mode_and_its_time(server: FakeServer, tmp_path: Path) -> None:
    server.routes = {"/a": Reply(200, b"here", {"Last-Modified": DATE, "ETag": '"1"'}), "/b": Reply(200, b"")}
    got = download(f"{server.url}/a", tmp_path / "a")
    assert (got.etag, got.last_modified, len(got.sha256)) == ('"1"', DATE, 64)
    status = (tmp_path / "a").stat()
    assert ((tmp_path / "a").read_bytes(), stat.S_IMODE(status.st_mode), status.st_mtime) == (
        b"here",
        0o600,
        1700000000,
    )
    assert download(f"{server.url}/b", tmp_path / "b") == Download(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    assert (tmp_path / "b").stat().st_mtime == 0
    assert "If-None-Match" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("known", "header"),
    [
        (Download("x", etag='"1"', last_modified=DATE), ("If-None-Match", '"1"')),
        (Download("x", last_modified=DATE), ("If-Modified-Since", DATE)),
    ],
)
def test_what_is_known_is_not_sent_again(
    server: FakeServer, tmp_path: Path, known: Download, header: tuple[str, str]
) -> None:
    def answer(request: Request) -> Reply:
        return Reply(304) if request.headers.get(header[0]) == header[1] else Reply(200, b"new")

    server.routes = {"/a": answer}
    assert download(f"{server.url}/a", tmp_path / "a", known) is known
    assert not (tmp_path / "a").exists()
    assert download(f"{server.url}/a", tmp_path / "a", Download("x", etag='"0"')).sha256 != "x"
    assert download(f"{server.url}/a", tmp_path / "b", Download("x")).sha256 != "x"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "the server answered 404 Not Found; check the address"),
        (403, "403 Forbidden; it may want a token, or another one: --secret id=HTTP_AUTH_TOKEN_127.0.0.1,env=NAME or"),
        (503, "503 Service Unavailable; the server has trouble"),
        (304, "304 Not Modified; check"),
        (204, "204 No Content"),
        (599, "answered 599; the server"),
    ],
)
def test_refusals(server: FakeServer, tmp_path: Path, status: int, message: str) -> None:
    server.routes = {"/a": Reply(status)}
    with pytest.raises(BuildError, match=message):
        download(f"{server.url}/a", tmp_path / "a")


def test_redirects(server: FakeServer, tmp_path: Path) -> None:
    server.routes = {"/a": Reply(302, headers={"Location": "/b"}), "/b": Reply(200, b"b")}
    download(f"{server.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"b"
    server.routes["/b"] = Reply(302, headers={"Location": "file:///etc/passwd"})
    with pytest.raises(BuildError, match=r"file:///etc/passwd: neither http:// nor https://"):
        download(f"{server.url}/a", tmp_path / "b")
    server.routes["/b"] = Reply(302, headers={"Location": "/a"})
    with pytest.raises(BuildError, match="more than 5 redirects"):
        download(f"{server.url}/a", tmp_path / "b")


def test_a_body_that_breaks_off(server: FakeServer, tmp_path: Path) -> None:
    server.routes = {"/a": Reply(200, b"half", length=1000)}
    with pytest.raises(BuildError, match="broke off"):
        download(f"{server.url}/a", tmp_path / "a")


def test_nobody_there(tmp_path: Path) -> None:
    with nobody_listens() as host, pytest.raises(BuildError, match=r"cannot download it: .*can't be reached"):
        download(f"http://{host}/a", tmp_path / "a")


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 01 Jan 1950 00:00:00 GMT", "Fri, 99 Foo 2023 00:00:00 GMT"])
def test_times_that_are_none(server: FakeServer, tmp_path: Path, date: str) -> None:
    server.routes = {"/a": Reply(200, b"x", {"Last-Modified": date})}
    download(f"{server.url}/a", tmp_path / "a")
    assert (tmp_path / "a").stat().st_mtime == 0


def test_who_asks_is_shown_to_the_host_alone(server: FakeServer, tmp_path: Path) -> None:
    with serving() as other:
        server.routes = {
            "/a": Reply(302, headers={"Location": "/b"}),
            "/b": Reply(302, headers={"Location": f"{other.url}/c"}),
        }
        other.routes = {"/c": Reply(200, b"c")}
        download(f"{server.url}/a", tmp_path / "a", Download("x", etag='"1"'), authorization="Bearer s3cret")
        assert [request.headers.get("Authorization") for request in server.requests] == ["Bearer s3cret"] * 2
        assert [request.headers.get("Authorization") for request in other.requests] == [None]
