from __future__ import annotations

import base64
import errno
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from dockmagic.errors import InvalidOption
from dockmagic.events import Event, RegistryRequest, ignore
from dockmagic.registry.access import OneUser
from dockmagic.registry.api import Api
from dockmagic.registry.directory import Directory
from dockmagic.registry.server import Address, RegistryServer
from tests.conformance.registry_asking import OCTETS, Asking, digest_of, located, with_query
from tests.unit.registry.conftest import Serve


def server_of(directory: Directory, address: Address, **options: Callable[[Event], None]) -> RegistryServer:
    """A server on the directory."""
    return RegistryServer(Api(directory), address, None, options.get("on_event", ignore), lambda: None)


def talk(host: str, data: bytes) -> bytes:
    """All that comes back for these bytes."""
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_a_connection_serves_many_requests(serve: Serve) -> None:
    reply = talk(serve().host, b"GET /v2/ HTTP/1.1\r\n\r\nHEAD /v2/ HTTP/1.1\r\n\r\nGET /v2/_catalog HTTP/1.0\r\n\r\n")
    assert reply.count(b"HTTP/1.1 200 OK") == 3
    assert reply.count(b"Docker-Distribution-Api-Version: registry/2.0") == 3
    assert reply.endswith(b'\r\n\r\n{"repositories": []}')


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"nonsense", 400),
        (b"GET /v2/ HTTP/9.9", 505),
        (b"BREW /v2/ HTTP/1.1", 501),
        (b"GET /v2/" + b"a" * 70000 + b" HTTP/1.1", 414),
    ],
)
def test_what_isnt_http_is_refused(serve: Serve, request_line: bytes, status: int) -> None:
    reply = talk(serve().host, request_line + b"\r\n\r\n")
    assert reply.startswith(f"HTTP/1.1 {status} ".encode())
    assert b'{"errors": [{"code": "UNSUPPORTED"' in reply


def test_refusals_are_documents(serve: Serve) -> None:
    ask = serve()
    for method, path, status, code in (
        ("GET", "/", 404, "UNSUPPORTED"),
        ("GET", "/v2/A/tags/list", 400, "NAME_INVALID"),
        ("GET", "/v2/a/tags/list", 404, "NAME_UNKNOWN"),
        ("POST", "/v2/_catalog", 405, "UNSUPPORTED"),
        ("GET", "/v2/a/blobs/uploads/x", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("POST", "/v2/a/blobs/uploads/?digest=x", 400, "DIGEST_INVALID"),
        ("PUT", "/v2/a/blobs/uploads/x", 400, "DIGEST_INVALID"),
        ("PUT", "/v2/a/manifests/.x", 400, "TAG_INVALID"),
        ("GET", "/v2/a/manifests/.x", 404, "MANIFEST_UNKNOWN"),
        ("PUT", "/v2/a/manifests/x", 400, "MANIFEST_INVALID"),
        ("GET", "/v2/_catalog?n=x", 400, "PAGINATION_NUMBER_INVALID"),
    ):
        reply = ask(method, path)
        assert (reply.status, reply.codes) == (status, [code])
        assert reply.headers["Content-Type"] == "application/json"


def test_a_document_that_is_too_long(serve: Serve) -> None:
    ask = serve()
    for size, status in ((4 << 20, 400), ((4 << 20) + 1, 413)):
        assert ask("PUT", "/v2/a/manifests/x", b" " * size).status == status
    assert ask("GET", "/v2/").status == 200


def test_chunks_out_of_their_turn(serve: Serve) -> None:
    ask = serve()
    location = ask.begin("a")
    for content_range, data, status, code in (
        ("0-4", b"hell", 400, "SIZE_INVALID"),
        ("4-0", b"hello", 400, "BLOB_UPLOAD_INVALID"),
        ("x", b"hello", 400, "BLOB_UPLOAD_INVALID"),
        ("1-5", b"hello", 416, "BLOB_UPLOAD_INVALID"),
    ):
        reply = ask("PATCH", location, data, {"Content-Range": content_range})
        assert (reply.status, reply.codes) == (status, [code])
    assert (located(reply), reply.headers["Range"]) == (location, "0-0")
    assert ask("PATCH", location, b"hello", {"Content-Range": "bytes 0-4/*"}).status == 202
    assert ask("PATCH", location, b"hello", {"Content-Range": "0-4"}).headers["Range"] == "0-4"
    assert ask("PUT", with_query(location, f"digest={digest_of(b'hello')}"), b"", OCTETS).status == 201


def test_an_upload_goes_on_where_it_broke_off(serve: Serve) -> None:
    ask = serve()
    location = ask.begin("a")
    talk(ask.host, f"PATCH {location} HTTP/1.1\r\nContent-Length: 10\r\n\r\nhello".encode())
    status = ask("GET", location)
    assert (status.status, status.headers["Range"], status.headers["Content-Length"]) == (204, "0-4", None)
    reply = ask("PUT", with_query(location, f"digest={digest_of(b'hello, you')}"), b", you", {"Content-Range": "5-9"})
    assert reply.status == 201
    assert ask("GET", located(reply)).body == b"hello, you"


def test_read_only_and_without_deletes(serve: Serve) -> None:
    ask = serve()
    digest = ask.push_blob("a", b"x")
    keeping, reading = serve(delete=False), serve(read_only=True)
    assert keeping("DELETE", f"/v2/a/blobs/{digest}").codes == ["UNSUPPORTED"]
    assert keeping("DELETE", keeping.begin("a")).status == 204
    assert reading("POST", "/v2/a/blobs/uploads/").status == 405
    assert reading("GET", f"/v2/a/blobs/{digest}").body == b"x"
    assert ask("DELETE", f"/v2/a/blobs/{digest}").status == 202


def test_only_users_may(serve: Serve) -> None:
    events: list[Event] = []
    ask = serve(users=OneUser("ada", "x"), on_event=events.append)
    refused = ask("GET", "/v2/")
    assert (refused.status, refused.codes) == (401, ["UNAUTHORIZED"])
    assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
    for password, status in (("x", 200), ("y", 401)):
        header = base64.b64encode(f"ada:{password}".encode()).decode()
        assert ask("GET", "/v2/_catalog", headers={"Authorization": f"Basic {header}"}).status == status
    while len(events) < 3:
        time.sleep(0.01)
    assert [event.user for event in events if isinstance(event, RegistryRequest)] == ["", "ada", "ada"]


def test_requests_are_told(serve: Serve) -> None:
    events: list[Event] = []
    ask = serve(on_event=events.append)
    digest = ask.push_blob("a", b"hello")
    ask("GET", f"/v2/a/blobs/{digest}", headers={"User-Agent": "me/1"})
    ask("GET", "/v2/a/manifests/x")
    while len(events) < 4:  # one is told when its answer has gone out
        time.sleep(0.01)
    told = [event for event in events if isinstance(event, RegistryRequest)]
    assert [(event.method, event.status, event.received_bytes, event.sent_bytes) for event in told[:3]] == [
        ("POST", 202, 0, 0),
        ("PUT", 201, 5, 0),
        ("GET", 200, 0, 5),
    ]
    assert (told[2].path, told[2].agent, told[2].client) == (f"/v2/a/blobs/{digest}", "me/1", "127.0.0.1")
    assert told[3].error == "MANIFEST_UNKNOWN: a has no manifest x"
    assert all(event.duration_s < 10 for event in told)


def test_a_full_disk_is_told(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    ask = serve()
    monkeypatch.setattr("dockmagic.registry.directory.fsync", full)
    reply = ask("POST", f"/v2/a/blobs/uploads/?digest={digest_of(b'x')}", b"x")
    assert (reply.status, reply.json()["errors"][0]["message"]) == (
        507,
        "the registry can't do it: No space left on device",
    )
    monkeypatch.undo()
    assert ask("POST", f"/v2/a/blobs/uploads/?digest={digest_of(b'x')}", b"x").status == 201


def test_it_stops_with_connections_open(directory: Directory) -> None:
    before = threading.active_count()
    with server_of(directory, Address()) as server:
        ask = Asking(server.host)
        assert ask("GET", "/v2/").status == 200
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 5
    assert threading.active_count() == before
    with pytest.raises((http.client.HTTPException, OSError)):
        ask("GET", "/v2/")
    ask.close()
    server.stop()


def test_a_hook_may_stop_it(directory: Directory) -> None:
    done = threading.Event()

    def on_event(event: Event) -> None:
        server.stop()
        done.set()

    server = server_of(directory, Address(), on_event=on_event)
    ask = Asking(server.host)
    assert ask("GET", "/v2/").status == 200
    assert done.wait(10)
    ask.close()


def test_requests_can_be_followed(directory: Directory) -> None:
    paths: list[str] = []
    with server_of(directory, Address()) as server:
        following = threading.Thread(target=lambda: paths.extend(request.path for request in server.follow()))
        following.start()
        ask = Asking(server.host)
        while not paths:
            ask("GET", "/v2/")
        ask.close()
    following.join(10)
    assert set(paths) == {"/v2/"}
    assert list(server.follow()) == []
    assert {request.path for request in server.requests} == {"/v2/"}


def test_addresses_and_what_to_know_of_them(directory: Directory) -> None:
    with server_of(directory, Address()) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.warning == ""
        with pytest.raises(
            InvalidOption, match=f"can't listen on 127.0.0.1, port {server.port}: Address already in use"
        ):
            server_of(directory, Address(port=server.port))
    with server_of(directory, Address("0.0.0.0")) as server:
        assert server.warning.startswith("anybody who can reach this machine")
        assert not server.host.startswith("0.0.0.0")
    with RegistryServer(Api(directory), Address("0.0.0.0"), OneUser("a", "b"), ignore, lambda: None) as server:
        assert server.warning.startswith("passwords go over the network as plain text")
    with server_of(directory, Address("::1")) as server:
        assert server.host == f"[::1]:{server.port}"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (Address(port=99999), "from 0 to 65535"),
        (Address("192.0.2.99"), "Cannot assign requested address"),
        (Address(key=Path("k")), "without its certificate"),
        (Address(certificate=Path("/nowhere")), "can't use the certificate /nowhere"),
    ],
)
def test_addresses_that_cant_be_had(directory: Directory, address: Address, words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        server_of(directory, address)


def test_tls(directory: Directory, tmp_path: Path) -> None:
    authority = trustme.CA()
    file = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with server_of(directory, Address(certificate=file)) as server:
        assert server.url.startswith("https://")
        digest = digest_of(b"x" * (3 << 20))
        connection = http.client.HTTPSConnection(server.host, context=context, timeout=10)
        connection.request("POST", f"/v2/a/blobs/uploads/?digest={digest}", b"x" * (3 << 20))
        with connection.getresponse() as reply:
            assert reply.status == 201
        connection.request("GET", f"/v2/a/blobs/{digest}")
        with connection.getresponse() as reply:
            assert digest_of(reply.read()) == digest
        connection.close()
        plain = Asking(server.host)
        with pytest.raises((http.client.HTTPException, OSError)):
            plain("GET", "/v2/")
        plain.close()
