from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import NotFound, RegistryError, StoreError
from dockmagic.events import Event, PushProgress
from dockmagic.image.destination import Destination
from dockmagic.image.registry import RegistryClient
from dockmagic.image.retry import Retry
from dockmagic.image.upload import FilePart, Upload
from dockmagic.image.whereabouts import Whereabouts
from dockmagic.oci.descriptor import OCI_LAYER, Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_registry import FakeRegistry, accepting, once, refusal
from tests.unit.image.fake_server import Reply, Request, serving

DATA = bytes(range(256)) * 40
DIGEST = Digest.of(DATA)
QUICK = Retry(attempts=3, base_s=0.001)
Send = Callable[..., list[PushProgress]]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with accepting() as registry:
        yield registry


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    client = RegistryClient(retry=QUICK)
    yield client
    client.close()


@pytest.fixture
def whereabouts(database: Database) -> Whereabouts:
    return Whereabouts(database)


@pytest.fixture
def send(registry: FakeRegistry, client: RegistryClient, whereabouts: Whereabouts, tmp_path: Path) -> Send:
    def send(data: bytes = DATA, chunk_bytes: int = 1 << 20) -> list[PushProgress]:
        """Send this blob to the repository "app"; what was said meanwhile."""
        path = tmp_path / "blob"
        path.write_bytes(data)
        said: list[Event] = []
        destination = Destination(client.exchange, Reference.parse(f"{registry.host}/app:1"))
        descriptor = Descriptor(OCI_LAYER, Digest.of(data), len(data))
        Upload(destination, descriptor, path, whereabouts, chunk_bytes, said.append).run()
        return [event for event in said if isinstance(event, PushProgress)]

    return send


def methods(registry: FakeRegistry) -> list[str]:
    return [request.method for request in registry.server.requests if request.path != "/v2/"]


def test_a_small_blob_goes_at_once(registry: FakeRegistry, send: Send) -> None:
    said = send()
    assert registry.blobs["app"] == {DIGEST: DATA}
    assert methods(registry) == ["HEAD", "POST", "PUT"]
    assert (said[0].status, said[-1]) == ("uploading", PushProgress(DIGEST, "pushed", len(DATA), len(DATA)))
    (put,) = registry.calls("PUT")
    assert (put.headers["Content-Length"], put.headers["Content-Type"]) == (str(len(DATA)), "application/octet-stream")


@pytest.mark.parametrize("size", [1, 2, 10_239, 10_240])
@pytest.mark.parametrize("chunk_bytes", [1, 4000, 10_239])
def test_a_large_blob_goes_in_chunks(registry: FakeRegistry, send: Send, size: int, chunk_bytes: int) -> None:
    if size > 100 * chunk_bytes:
        chunk_bytes = size // 3
    data = DATA[:size]
    send(data, chunk_bytes)
    assert registry.blobs["app"] == {Digest.of(data): data}
    assert len(registry.calls("PATCH")) == (0 if size <= chunk_bytes else -(-size // chunk_bytes))


def test_chunks_say_where_they_belong(registry: FakeRegistry, send: Send) -> None:
    send(chunk_bytes=4096)
    ranges = [request.headers["Content-Range"] for request in registry.calls("PATCH")]
    assert ranges == ["0-4095", "4096-8191", "8192-10239"]
    assert registry.calls("PUT")[0].headers["Content-Length"] == "0"


def test_an_empty_blob(registry: FakeRegistry, send: Send) -> None:
    send(b"")
    assert registry.blobs["app"] == {Digest.of(b""): b""}


def test_a_registry_that_wants_larger_chunks(registry: FakeRegistry, send: Send) -> None:
    registry.least_chunk = 6000
    send(chunk_bytes=100)
    assert [len(request.body) for request in registry.calls("PATCH")] == [6000, 4240]


@pytest.mark.parametrize("form", ["{path}", "{url}{path}", "{path}?state=a%2Fb&x=1", "{url}{path}?state=abc"])
def test_forms_of_location(registry: FakeRegistry, send: Send, form: str) -> None:
    registry.location = lambda path: form.format(path=path, url=registry.server.url)
    send(chunk_bytes=4096)
    assert registry.blobs["app"] == {DIGEST: DATA}
    state = {"state": ["a/b"], "x": ["1"]} if "%2F" in form else {"state": ["abc"]} if "?" in form else {}
    assert registry.calls("PATCH")[0].query == state
    assert registry.calls("PUT")[0].query == {**state, "digest": [DIGEST]}


def test_a_location_that_is_none(registry: FakeRegistry, send: Send) -> None:
    registry.faults.append(once("POST", Reply(202)))
    with pytest.raises(RegistryError, match="doesn't say where the upload goes"):
        send()
    registry.location = lambda path: "http://[nowhere"
    with pytest.raises(RegistryError, match="no URL, but 'http://\\[nowhere'"):
        send()


def test_a_location_on_another_host_gets_no_secret(registry: FakeRegistry, send: Send, client: RegistryClient) -> None:
    with serving() as storage:
        storage.default = Reply(201)
        registry.location = lambda path: f"{storage.url}{path}"
        wanted = {"WWW-Authenticate": 'Bearer realm="' + registry.server.url + '/token",service="r"'}
        registry.server.routes["/token"] = Reply(200, b'{"token": "secret"}')

        def guard(request: Request) -> Reply | None:
            return None if request.headers.get("Authorization") == "Bearer secret" else Reply(401, headers=wanted)

        registry.faults.append(guard)
        send()
        assert [request.method for request in storage.requests] == ["PUT"]
        assert storage.requests[0].body == DATA
        assert "Authorization" not in storage.requests[0].headers


def test_what_is_asked_of_the_token_server(registry: FakeRegistry, send: Send, whereabouts: Whereabouts) -> None:
    base = Reference.parse(f"{registry.host}/team/base:1")
    whereabouts.note([DIGEST], base)
    registry.blobs["team/base"] = {DIGEST: DATA}
    wanted = {"WWW-Authenticate": 'Bearer realm="' + registry.server.url + '/token",service="r"'}
    registry.server.routes["/token"] = Reply(200, b'{"token": "secret"}')
    registry.faults.append(
        lambda request: None if "Authorization" in request.headers else Reply(401, headers=wanted)
    )  # fmt: skip
    assert send()[-1].status == "mounted"
    scopes = [request.query["scope"] for request in registry.server.requests if request.path == "/token"]
    assert scopes == [
        ["repository:app:pull,push"],
        ["repository:app:pull,push", "repository:team/base:pull"],
    ]


def test_a_blob_that_is_there(registry: FakeRegistry, send: Send) -> None:
    registry.blobs["app"] = {DIGEST: DATA}
    assert [event.status for event in send()] == ["exists"]
    assert methods(registry) == ["HEAD"]


def test_a_blob_is_mounted(registry: FakeRegistry, send: Send, whereabouts: Whereabouts) -> None:
    whereabouts.note([DIGEST], Reference.parse(f"{registry.host}/base:1"))
    registry.blobs["base"] = {DIGEST: DATA}
    assert [(event.status, event.detail) for event in send()] == [("mounted", "from base")]
    assert methods(registry) == ["HEAD", "POST"]
    assert registry.calls("POST")[0].query == {"mount": [DIGEST], "from": ["base"]}


def test_a_blob_in_another_registry_is_not_mounted(
    registry: FakeRegistry, send: Send, whereabouts: Whereabouts
) -> None:
    whereabouts.note([DIGEST], Reference.parse("elsewhere.example/base:1"))
    send()
    assert registry.calls("POST")[0].query == {}


def test_a_refused_mount_goes_on_as_an_upload(registry: FakeRegistry, send: Send, whereabouts: Whereabouts) -> None:
    reference = Reference.parse(f"{registry.host}/app:1")
    whereabouts.note([DIGEST], Reference.parse(f"{registry.host}/base:1"))
    assert send()[-1].status == "pushed"
    assert methods(registry) == ["HEAD", "POST", "PUT"]
    assert whereabouts.elsewhere(DIGEST, reference) == ""


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_mount_that_is_an_error(registry: FakeRegistry, send: Send, whereabouts: Whereabouts, status: int) -> None:
    whereabouts.note([DIGEST], Reference.parse(f"{registry.host}/base:1"))
    registry.faults.append(once("POST", Reply(status)))
    assert send()[-1].status == "pushed"
    assert methods(registry) == ["HEAD", "POST", "POST", "PUT"]


def test_a_token_server_that_minds_the_source(registry: FakeRegistry, send: Send, whereabouts: Whereabouts) -> None:
    whereabouts.note([DIGEST], Reference.parse(f"{registry.host}/base:1"))
    wanted = {"WWW-Authenticate": 'Bearer realm="' + registry.server.url + '/token",service="r"'}

    def token(request: Request) -> Reply:
        return Reply(403) if len(request.query["scope"]) > 1 else Reply(200, b'{"token": "secret"}')

    registry.server.routes["/token"] = token
    registry.faults.append(
        lambda request: None if "Authorization" in request.headers else Reply(401, headers=wanted)
    )  # fmt: skip
    assert send()[-1].status == "pushed"


def test_a_registry_that_took_less_of_a_chunk(registry: FakeRegistry, send: Send) -> None:
    def half(request: Request) -> Reply:
        registry.uploads["1"] += request.body[:1000]
        return Reply(202, headers={"Location": request.path, "Range": "0-999"})

    registry.faults.append(once("PATCH", half))
    send(chunk_bytes=4096)
    assert registry.calls("PATCH")[1].headers["Content-Range"] == "1000-5095"
    assert registry.blobs["app"] == {DIGEST: DATA}


@pytest.mark.parametrize("said", ["0-0", "0-99999"])
def test_a_registry_that_says_nonsense_is_asked_again(registry: FakeRegistry, send: Send, said: str) -> None:
    def nonsense(request: Request) -> Reply:
        registry.uploads["1"] += request.body
        return Reply(202, headers={"Location": request.path, "Range": said})

    registry.faults.append(once("PATCH", nonsense))
    assert "retrying" in [event.status for event in send(chunk_bytes=4096)]
    assert registry.blobs["app"] == {DIGEST: DATA}


def test_a_chunk_out_of_order_is_put_right(registry: FakeRegistry, send: Send) -> None:
    def lose(request: Request) -> Reply | None:
        registry.uploads["1"] += request.body[:5]  # so that the next one doesn't fit
        return None

    registry.faults.append(once("PATCH", lambda request: lose(request)))
    said = send(chunk_bytes=4096)
    assert next(event.detail for event in said if event.status == "retrying").startswith("in 0.0 s: ")
    assert methods(registry)[:5] == ["HEAD", "POST", "PATCH", "GET", "PATCH"]
    assert registry.calls("PATCH")[1].headers["Content-Range"] == "5-4100"
    assert registry.blobs["app"] == {DIGEST: DATA}


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
def test_what_passes_is_tried_again(registry: FakeRegistry, send: Send, method: str, status: int) -> None:
    registry.faults.append(once(method, Reply(status)))
    assert [event.status for event in send(chunk_bytes=4096)].count("retrying") == 1
    assert registry.blobs["app"] == {DIGEST: DATA}


def test_an_upload_that_the_registry_forgot_begins_anew(registry: FakeRegistry, send: Send) -> None:
    def forget(request: Request) -> Reply | None:
        registry.uploads.clear()
        return None

    registry.faults.append(once("PATCH", forget))
    assert send(chunk_bytes=4096)[-1].status == "pushed"
    assert methods(registry)[:5] == ["HEAD", "POST", "PATCH", "GET", "HEAD"]
    assert registry.blobs["app"] == {DIGEST: DATA}


def test_an_end_whose_answer_was_lost(registry: FakeRegistry, send: Send) -> None:
    def end(request: Request) -> Reply:
        registry.blobs["app"] = {DIGEST: DATA}
        registry.uploads.clear()
        return Reply(502)

    registry.faults.append(once("PUT", end))
    assert send(chunk_bytes=4096)[-1].status == "pushed"
    assert len(registry.calls("POST")) == 1


def test_pieces_that_do_not_fit_together_are_sent_again(registry: FakeRegistry, send: Send) -> None:
    def spoil(request: Request) -> Reply:
        registry.uploads["1"] += b"x" * 100
        return Reply(500)

    registry.faults.append(once("PATCH", spoil))
    assert send(chunk_bytes=4096)[-1].status == "pushed"
    assert registry.blobs["app"] == {DIGEST: DATA}
    assert registry.uploads == {}


def test_other_bytes_than_the_digest_s(registry: FakeRegistry, send: Send) -> None:
    registry.faults.append(once("PUT", refusal(400, "DIGEST_INVALID")))
    with pytest.raises(RegistryError, match=r"other bytes than those of the blob .*; `system fsck` checks"):
        send()
    assert len(registry.calls("PUT")) == 1


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "DENIED", r"denied: requested access to the resource is denied; log in \('docker login'\) as somebody"),
        (401, "UNAUTHORIZED", "unauthorized: authentication required; log in"),
        (404, "NAME_UNKNOWN", "repository name not known to registry: .*/app has to be made there first"),
        (405, "UNSUPPORTED", "doesn't take images for .*/app: it may only pass on those of another"),
        (413, "", "too large for the registry, or for a proxy before it; set a smaller chunk_size"),
    ],
)
def test_what_does_not_pass_is_said(registry: FakeRegistry, send: Send, status: int, code: str, words: str) -> None:
    registry.faults.append(lambda request: refusal(status, code) if request.method == "POST" else None)
    with pytest.raises(RegistryError, match=words) as caught:
        send()
    assert (caught.value.status, caught.value.code) == (status, code)
    assert len(registry.calls("POST")) == 1


def test_tries_come_to_an_end(registry: FakeRegistry, send: Send) -> None:
    registry.faults.append(lambda request: Reply(500) if request.method == "PATCH" else None)
    with pytest.raises(RegistryError, match="trouble of its own"):
        send(chunk_bytes=4096)
    assert len(registry.calls("PATCH")) == QUICK.attempts


def test_redirected_bytes_come_whole(registry: FakeRegistry, send: Send) -> None:
    with serving() as storage:
        storage.default = Reply(201)
        target = f"{storage.url}/bucket?signature=x"
        registry.faults.append(once("PUT", Reply(307, headers={"Location": target})))
        send()
        assert storage.requests[0].body == DATA
        assert storage.requests[0].query == {"signature": ["x"]}


def test_a_file_that_is_too_short_or_missing(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    with pytest.raises(NotFound, match="fsck"):
        list(FilePart(path, 0, 5, lambda place: None))
    path.write_bytes(b"abc")
    with pytest.raises(StoreError, match="ends after 3 bytes"):
        list(FilePart(path, 0, 5, lambda place: None))
    assert b"".join(FilePart(path, 1, 2, lambda place: None)) == b"bc"
