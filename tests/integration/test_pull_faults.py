"""Pulls from registries that fail or lie: each ends in the image or in a clear error, with the store as it was."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from dockmagic.errors import DigestMismatch, DockmagicError, InvalidLayer, InvalidManifest, RegistryError, Unauthorized
from dockmagic.image.auth import Credentials
from dockmagic.image.limits import DEFAULT_LIMITS, Limits
from dockmagic.image.registries import Registries
from dockmagic.image.registry import MANIFEST_LIMIT
from dockmagic.oci.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from dockmagic.oci.digest import Digest
from tests.integration.faulty_proxy import (
    Answer,
    Fault,
    FaultyProxy,
    Wire,
    changed,
    chunked,
    cut,
    cut_in_header,
    dripping,
    faulty_proxy,
    instead,
    raw,
    silent,
)
from tests.integration.pull_scene import (
    BIG,
    CHILD,
    CHUNK,
    CONFIG,
    EVERYTHING,
    HASTY,
    LAYER,
    MANY,
    NEW,
    SMALL,
    TAG,
    Sample,
    Scene,
    archive,
    descriptor,
    index,
    manifest,
    sample,
    upload,
)
from tests.integration.registry_fixture import running_registry
from tests.unit.image.fake_server import FakeServer, Reply, nobody_listens, serving

pytestmark = [pytest.mark.root, pytest.mark.needs("docker-registry", "openssl")]

HERE = {"os": "linux", "architecture": "amd64"}

Arrange = Callable[[Scene], None]


class Row:
    """A line of the table: what happens, and how it ends: well, or by this error, whose message has these words."""

    def __init__(self, what: str, arrange: Arrange, error: type[DockmagicError] | None = None, *words: str) -> None:
        self.what = what
        self.arrange = arrange
        self.error = error
        self.words = words


def on(path: str, fault: Fault, times: int | None = None) -> Arrange:
    """This fault, so many times or for ever."""
    return lambda scene: scene.proxy.on(path, fault, times)


def hasty(path: str, fault: Fault, times: int | None = None) -> Arrange:
    """This fault for who doesn't wait long."""

    def arrange(scene: Scene) -> None:
        scene.timeouts = HASTY
        scene.proxy.on(path, fault, times)

    return arrange


def both(*parts: Arrange) -> Arrange:
    """All of these together."""

    def arrange(scene: Scene) -> None:
        for part in parts:
            part(scene)

    return arrange


def flipped(answer: Answer) -> Answer:
    """One bit is another."""
    middle = len(answer.body) // 2
    return answer.holding(answer.body[:middle] + bytes([answer.body[middle] ^ 1]) + answer.body[middle + 1 :])


def tagged(data: bytes, media_type: str = OCI_MANIFEST, **headers: str) -> Arrange:
    """The tag stands for this document."""
    return lambda scene: scene.serve("1", data, media_type, **headers)


def lying(**changes: object) -> Arrange:
    """The manifest of the new image, but for these fields of its first layer."""
    document = json.loads(NEW.manifest)
    document["layers"][0] |= changes
    return tagged(json.dumps(document).encode())


def untrue_config(**changes: Any) -> Arrange:
    """The new image with a config that says something else."""
    image = sample([BIG, SMALL], **changes)
    return lambda scene: scene.serve_image(image)


def odd_config(data: bytes) -> Arrange:
    """The new image's layers with these bytes as its config."""
    document = json.dumps(manifest(data, list(NEW.layers))).encode()
    return lambda scene: scene.serve_image(Sample(document, data, NEW.layers))


def stored(*layers: bytes) -> Arrange:
    """The new image's config, but these bytes in place of its layers."""
    image = sample([BIG, SMALL], stored=list(layers))
    return lambda scene: scene.serve_image(image)


def later(wire: Wire, answer: Answer) -> None:
    """Too many requests; the date in a second says when to come again."""
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    wire.send(Answer(429).holding(b"").wearing(Retry_After=moment))


def elsewhere(scene: Scene) -> None:
    """Blobs are on another host; the registry wants a password, and both give cookies."""
    scene.accounts[scene.host] = Credentials("ann", "geheim")
    for blob in (NEW.config, *NEW.layers):
        path = f"/v2/team/app/blobs/{Digest.of(blob)}"
        scene.other.routes[path] = Reply(200, blob, {"Set-Cookie": "other=1"})
        scene.proxy.on(path, protected(instead(307, Location=f"{scene.other.url}{path}")))
    scene.proxy.on(EVERYTHING, protected(changed(lambda answer: answer.wearing(Set_Cookie="session=1"))))


def protected(fault: Fault, challenge: str = 'Basic realm="r"') -> Fault:
    """For those who show something only."""

    def guarded(wire: Wire, answer: Answer) -> None:
        if "authorization" in wire.request.headers:
            fault(wire, answer)
        else:
            wire.send(Answer(401).holding(b"").wearing(WWW_Authenticate=challenge))

    return guarded


def endless(after: int) -> Fault:
    """No length is told, and the connection ends after these bytes of the body."""
    return lambda wire, answer: cut(after)(wire, answer.wearing(Content_Length=None))


def passed_on(wire: Wire, answer: Answer) -> None:
    """Nothing is spoilt."""
    wire.send(answer)


def token_server(reply: Callable[[], Reply]) -> Arrange:
    """The registry wants a token of another server, which answers so."""

    def arrange(scene: Scene) -> None:
        scene.other.routes["/token"] = lambda request: reply()
        scene.proxy.on(EVERYTHING, protected(passed_on, f'Bearer realm="{scene.other.url}/token",service="s"'))

    return arrange


def slow_token_server(scene: Scene) -> None:
    """The registry wants a token of a server that takes its time."""

    def slowly() -> Reply:
        scene.proxy.stopping.wait(0.6)
        return Reply(200, b'{"token": "t"}')

    scene.timeouts = HASTY
    token_server(slowly)(scene)


def no_token_server(scene: Scene) -> None:
    """The registry wants a token of a server that isn't there."""
    with nobody_listens() as host:
        scene.proxy.on(EVERYTHING, protected(passed_on, f'Bearer realm="http://{host}/token",service="s"'))


def replies(*each: Reply) -> Callable[[], Reply]:
    """One after the other, the last one for ever."""
    left = list(each)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def mirrored(fault: Fault, path: str = EVERYTHING) -> Arrange:
    """The proxy is a mirror with a fault of the registry that it stands before."""

    def arrange(scene: Scene) -> None:
        scene.proxy.on(path, fault)
        scene.host = scene.proxy.upstream
        scene.registries = Registries({scene.host: (scene.proxy.url,)})

    return arrange


def wrong_ranges(edit: Callable[[Answer], Answer]) -> Arrange:
    """The layer breaks off once, and asking for its rest gives this."""

    def fault(wire: Wire, answer: Answer) -> None:
        wire.send(edit(answer) if "range" in wire.request.headers else answer)

    return both(on(LAYER, cut(CHUNK + 5), 1), on(LAYER, fault))


def deep(levels: int) -> Arrange:
    """Indexes in each other."""

    def arrange(scene: Scene) -> None:
        inner, media_type = NEW.manifest, OCI_MANIFEST
        for _ in range(levels):
            scene.serve(Digest.of(inner), inner, media_type)
            inner, media_type = index(descriptor(inner, media_type, platform=HERE)), OCI_INDEX
        scene.serve("1", inner, OCI_INDEX)

    return arrange


def of_many(*more: Arrange) -> Arrange:
    """The tag stands for an index that leads to the new image."""
    return both(tagged(MANY, OCI_INDEX), *more)


def bombed(scene: Scene) -> None:
    """The layer is a few kilobytes that become many megabytes."""
    bomb = archive({"zeros": bytes(8 << 20)})
    scene.serve_image(sample([bomb]))
    scene.limits = Limits(max_ratio=100, ratio_from_bytes=1 << 20)


BOUNDARIES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, len(NEW.layers[0]) - 1)
RESETS = (1, CHUNK + 1, len(NEW.layers[0]) - 1)
HEADERS = ("content-type", "content-length", "docker-content-digest")
SELF = index(descriptor(b"", OCI_INDEX, platform=HERE))
BOMB = gzip.compress(bytes(8 << 20), mtime=0)
EMPTY_GZIP = gzip.compress(b"", mtime=0)

TABLE = [
    *(Row(f"the layer cut at {at}", on(LAYER, cut(at), 1)) for at in BOUNDARIES),
    *(Row(f"the layer reset at {at}", on(LAYER, cut(at, reset=True), 1)) for at in RESETS),
    *(Row(f"the manifest cut at {at}", on(TAG, cut(at), 1)) for at in (0, 1, len(NEW.manifest) - 1)),
    *(Row(f"the config cut at {at}", on(CONFIG, cut(at), 1)) for at in (0, 1, len(NEW.config) - 1)),
    *(Row(f"the manifest cut in {name}", on(TAG, cut_in_header(name), 1)) for name in HEADERS),
    *(Row(f"the layer cut in {name}", on(LAYER, cut_in_header(name), 1)) for name in HEADERS),
    Row("the manifest cut between two headers", on(TAG, cut(-2), 1)),
    Row("all cut at the first try", on(EVERYTHING, cut(10), 1)),
    Row("the layer cut for ever at one place", on(LAYER, cut(0)), RegistryError, "broke off"),
    Row("the manifest cut for ever", on(TAG, cut(5)), RegistryError, "broke off", "try again"),
    Row("the manifest cut for ever in a header", on(TAG, cut_in_header("content-type")), RegistryError, "broke off"),
    Row("slow", on(EVERYTHING, dripping(60_000, 0.02))),
    Row("silence within the layer, once", hasty(LAYER, silent(CHUNK + 7), 1)),
    Row("silence before the manifest, once", hasty(TAG, silent(-1), 1)),
    Row("silence for ever", hasty(CONFIG, silent(0)), RegistryError, "no answer in time"),
    Row("a length too short", on(LAYER, changed(lambda a: a.wearing(Content_Length="99"))), DigestMismatch, "99"),
    Row(
        "a length too long",
        on(LAYER, changed(lambda a: a.wearing(Content_Length="999999999"))),
    ),
    Row(
        "a length too short for the manifest", on(TAG, changed(lambda a: a.wearing(Content_Length="9"))), DigestMismatch
    ),
    Row("a length that is none", on(LAYER, changed(lambda a: a.wearing(Content_Length="many"))), None),
    Row("two lengths", on(TAG, changed(lambda a: a.wearing(Content_Length="5, 6"))), RegistryError, "no usable answer"),
    Row("no length", on(EVERYTHING, changed(lambda a: a.wearing(Content_Length=None)))),
    Row("no length, and an early end", on(LAYER, endless(999), 1)),
    Row("no length, and a manifest that ends early", on(TAG, endless(99), 1)),
    Row("chunks", on(EVERYTHING, chunked(50_000))),
    Row("chunks without an end, once", on(EVERYTHING, chunked(50_000, end=b""), 1)),
    Row("chunks without an end", on(TAG, chunked(50_000, end=b"")), RegistryError, "broke off"),
    Row("a chunk that is none", on(TAG, chunked(50_000, end=b"zz\r\n")), RegistryError, "broke off"),
    Row("a chunk of negative length", on(TAG, chunked(50_000, end=b"-1\r\n")), DockmagicError),
    Row("a bit of the layer is flipped", on(LAYER, changed(flipped)), DigestMismatch, "expected sha256", "damaged"),
    Row("a bit of the config is flipped", on(CONFIG, changed(flipped)), DigestMismatch, "expected sha256"),
    Row("a bit of the manifest is flipped", on(TAG, changed(flipped)), DigestMismatch, "expected sha256"),
    Row(
        "a bit of the index's entry is flipped", of_many(on(CHILD, changed(flipped))), DigestMismatch, "expected sha256"
    ),
    Row(
        "the manifest is said to be a page",
        on(TAG, changed(lambda a: a.wearing(Content_Type="text/html"))),
        RegistryError,
        "text/html",
        "registry",
    ),
    Row("the blobs are said to be pages", on("/blobs/", changed(lambda a: a.wearing(Content_Type="text/html")))),
    Row(
        "never content", on(EVERYTHING, instead(401, WWW_Authenticate='Basic realm="r"')), Unauthorized, "docker login"
    ),
    Row("never content, and no challenge", on(EVERYTHING, instead(401)), Unauthorized, "docker login"),
    Row(
        "a challenge without sense", on(EVERYTHING, instead(401, WWW_Authenticate='Bearer realm="')), DockmagicError, ""
    ),
    Row("forbidden", on(TAG, instead(403)), Unauthorized, "access denied"),
    Row("a forbidden layer", on(LAYER, instead(403)), Unauthorized, "access denied"),
    Row("no manifest", on(TAG, instead(404)), RegistryError, "not found", "check the name"),
    Row(
        "no layer",
        on(LAYER, instead(404, b'{"errors": [{"code": "BLOB_UNKNOWN"}]}')),
        RegistryError,
        "lost a part",
        "push it again",
    ),
    Row("busy once", on(EVERYTHING, instead(429), 1)),
    Row("busy for a second", on(TAG, instead(429, Retry_After="1"), 1)),
    Row("busy until a date", on(TAG, later, 1)),
    Row("busy for ever", on(TAG, instead(429)), RegistryError, "too many requests", "does not say how long"),
    Row("busy for an hour", on(TAG, instead(429, Retry_After="3600")), RegistryError, "too many requests", "3600 s"),
    Row(
        "busy for an endless number", on(TAG, instead(429, Retry_After="9" * 5000)), RegistryError, "too many requests"
    ),
    Row(
        "busy until no date",
        on(TAG, instead(429, Retry_After="Mon, 1 Jan 2024 00:00:00 +9999999999")),
        RegistryError,
        "too many",
    ),
    Row(
        "a window without sense",
        on(TAG, instead(429, Retry_After="9999", RateLimit_Limit="9;w=" + "9" * 5000)),
        RegistryError,
        "too many",
    ),
    *(Row(f"{status} once", on(EVERYTHING, instead(status), 1)) for status in (500, 502, 503)),
    *(
        Row(f"{status} for ever", on(LAYER, instead(status)), RegistryError, "trouble of its own", str(status))
        for status in (500, 502, 503)
    ),
    Row("redirects in a circle", on(LAYER, instead(307, Location="?again")), RegistryError, "redirects"),
    Row("a redirect to nowhere", on(LAYER, instead(307, Location="https://[::1/")), RegistryError, "no URL"),
    Row("a redirect without a target", on(LAYER, instead(307)), RegistryError, "307"),
    Row(
        "a redirect to plain http elsewhere",
        on(LAYER, instead(307, Location="http://cdn.example/x")),
        RegistryError,
        "cdn.example",
        "only https is safe",
    ),
    Row("a redirect to a file", on(LAYER, instead(307, Location="file:///etc/passwd")), RegistryError, "refused"),
    Row("a manifest of more than 4 MiB", tagged(NEW.manifest + b" " * MANIFEST_LIMIT), RegistryError, "longer than"),
    Row(
        "a config of another diff ID",
        untrue_config(rootfs={"type": "layers", "diff_ids": [Digest.of(b"x"), Digest.of(SMALL)]}),
        DigestMismatch,
        "layer",
        "expected sha256",
    ),
    Row(
        "a config that changes the order",
        untrue_config(rootfs={"type": "layers", "diff_ids": [Digest.of(SMALL), Digest.of(BIG)]}),
        DigestMismatch,
        "layer",
    ),
    Row(
        "a config with too few diff IDs",
        untrue_config(rootfs={"type": "layers", "diff_ids": [Digest.of(BIG)]}),
        InvalidManifest,
        "2 layers",
        "names 1",
    ),
    Row(
        "a config with too many diff IDs",
        untrue_config(rootfs={"type": "layers", "diff_ids": [Digest.of(BIG)] * 3}),
        InvalidManifest,
        "2 layers",
        "names 3",
    ),
    Row("a config of another machine", untrue_config(architecture="s390x"), InvalidManifest, "s390x", "does not run"),
    Row("a config that isn't JSON", odd_config(b"\x00\xff"), InvalidManifest, "image config"),
    Row("a config as deep as a well", odd_config(b"[" * 100_000), InvalidManifest, "image config"),
    Row(
        "a config that says to be huge",
        tagged(
            json.dumps(json.loads(NEW.manifest) | {"config": descriptor(NEW.config, OCI_CONFIG, size=1 << 40)}).encode()
        ),
        InvalidManifest,
        "config",
        "at most",
    ),
    Row("a manifest as deep as a well", tagged(b"[" * 100_000), InvalidManifest, "manifest"),
    Row(
        "an index that points to itself",
        lambda scene: scene.proxy.on("/manifests/", instead(200, SELF, Content_Type=OCI_INDEX)),
        DigestMismatch,
        "expected sha256",
    ),
    Row("an index in an index", deep(2)),
    Row("a deep index", deep(6), InvalidManifest, "deep"),
    Row("an index of nothing", tagged(index(), OCI_INDEX), InvalidManifest, "no matching manifest"),
    Row(
        "an entry of another size",
        tagged(index(descriptor(NEW.manifest, OCI_MANIFEST, size=5, platform=HERE)), OCI_INDEX),
        DigestMismatch,
        "5 bytes",
    ),
    Row(
        "an entry of another type",
        tagged(index(descriptor(NEW.manifest, OCI_INDEX, platform=HERE)), OCI_INDEX),
        InvalidManifest,
        "mediaType",
    ),
    Row(
        "a document of two kinds",
        tagged(json.dumps(json.loads(NEW.manifest) | {"manifests": []}).encode()),
        InvalidManifest,
        "manifests",
    ),
    Row("a type that the document contradicts", tagged(NEW.manifest, OCI_INDEX), InvalidManifest, "mediaType"),
    Row("a layer larger than its descriptor says", lying(size=99), DigestMismatch, "99 bytes"),
    Row("a layer smaller than its descriptor says", lying(size=1 << 40), DigestMismatch, str(1 << 40)),
    Row("a layer of an unknown type", lying(mediaType="application/x-tar"), InvalidManifest, "unknown type"),
    Row("a layer that says to be plain", lying(mediaType=OCI_LAYER_GZIP.removesuffix("+gzip")), None),
    Row(
        "a digest that isn't the manifest's",
        on(TAG, changed(lambda a: a.wearing(Docker_Content_Digest=Digest.of(b"x")))),
        DigestMismatch,
        "expected sha256",
    ),
    Row(
        "a digest that is none",
        on(TAG, changed(lambda a: a.wearing(Docker_Content_Digest="md5:1"))),
        InvalidManifest,
        "md5:1",
    ),
    Row(
        "a digest that isn't the blobs'",
        on("/blobs/", changed(lambda a: a.wearing(Docker_Content_Digest=Digest.of(b"x")))),
    ),
    Row("the range is ignored", wrong_ranges(lambda a: Answer(200).holding(NEW.layers[0]))),
    Row(
        "another range than asked for",
        wrong_ranges(lambda a: a.wearing(Content_Range=f"bytes 7-{len(NEW.layers[0]) - 1}/*")),
    ),
    Row("a range without end", wrong_ranges(lambda a: a.wearing(Content_Range=f"bytes {'9' * 5000}-5/*"))),
    Row("no range is good enough", wrong_ranges(lambda a: Answer(416).holding(b""))),
    Row("the right range, but other bytes", wrong_ranges(lambda a: a.holding(bytes(len(a.body))))),
    Row("a layer called gzip once more", on(LAYER, changed(lambda a: a.wearing(Content_Encoding="gzip")))),
    Row(
        "a manifest in gzip",
        on(TAG, changed(lambda a: a.holding(gzip.compress(a.body)).wearing(Content_Encoding="gzip"))),
    ),
    Row(
        "a manifest called gzip",
        on(TAG, changed(lambda a: a.wearing(Content_Encoding="gzip"))),
        RegistryError,
        "no usable answer",
    ),
    Row(
        "a manifest that is a bomb",
        on(TAG, changed(lambda a: a.holding(BOMB).wearing(Content_Encoding="gzip"))),
        RegistryError,
        "longer than",
    ),
    Row("garbage, once", on(EVERYTHING, raw(b"\x00\x01garbage\r\n\r\n"), 1)),
    Row("garbage", on(EVERYTHING, raw(b"\x1b[2Jgarbage\r\n\r\n")), RegistryError, "no usable answer"),
    Row("an endless status line", on(TAG, raw(b"HTTP/1.1 200 " + b"x" * 100_000)), RegistryError, "no usable answer"),
    Row(
        "too many headers",
        on(TAG, raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n")),
        RegistryError,
        "no usable answer",
    ),
    Row(
        "a header too long",
        on(TAG, raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n")),
        RegistryError,
        "no usable answer",
    ),
    Row(
        "a truncated gzip of the right digest",
        stored(NEW.layers[0][:-500], NEW.layers[1]),
        InvalidLayer,
        "ends too early",
    ),
    Row("garbage after the gzip", stored(NEW.layers[0] + b"garbage", NEW.layers[1]), InvalidLayer, "gzip"),
    Row("an empty layer", stored(b"", NEW.layers[1]), DockmagicError),
    Row("an empty gzip", stored(EMPTY_GZIP, NEW.layers[1]), DockmagicError),
    Row("another archive of the right form", stored(NEW.layers[1], NEW.layers[1]), DigestMismatch, "layer"),
    Row("a bomb", bombed, InvalidLayer, "bomb", "DOCKMAGIC_UNPACK_LIMITS"),
    Row("a token", token_server(replies(Reply(200, b'{"token": "t"}')))),
    Row("a token server with passing trouble", token_server(replies(Reply(503), Reply(200, b'{"token": "t"}')))),
    Row("a token server that is slow", slow_token_server, RegistryError, "no answer in time", "/token"),
    Row("a token server that is down", no_token_server, RegistryError, "can't be reached"),
    Row("a token server with lasting trouble", token_server(replies(Reply(500))), RegistryError, "token server", "500"),
    Row("a token server that refuses", token_server(replies(Reply(401))), Unauthorized, "token server refused"),
    Row("a token that is garbage", token_server(replies(Reply(200, b"\xff\x00"))), RegistryError, "no token"),
    Row("a token as deep as a well", token_server(replies(Reply(200, b"[" * 100_000))), RegistryError, "no token"),
    Row(
        "a token with line breaks",
        token_server(replies(Reply(200, b'{"token": "a\\r\\nHost: b"}'))),
        RegistryError,
        "no usable answer",
    ),
    Row("a mirror that fails", mirrored(instead(500))),
    Row("a mirror that cuts everything", mirrored(cut(20))),
    Row("a mirror that cuts the layer", mirrored(cut(CHUNK + 3), LAYER)),
    Row("a mirror that doesn't have the layer", mirrored(instead(404), LAYER)),
    Row("a mirror with a damaged manifest", mirrored(changed(flipped), TAG)),
    Row("a mirror with a damaged layer", mirrored(changed(flipped), LAYER)),
    Row("a mirror with a damaged config", mirrored(changed(flipped), CONFIG)),
    Row("a mirror of another company", mirrored(instead(200, b"<html>", Content_Type="text/html"), TAG)),
    Row(
        "words that are orders to a terminal",
        on(TAG, instead(400, b'{"errors": [{"code": "X", "message": "\\u001b[2J\\ud800"}]}')),
        RegistryError,
        r"\x1b[2J",
    ),
    Row(
        "words without end",
        on(TAG, instead(400, json.dumps({"errors": [{"code": "X", "message": "no " * 90_000}]}).encode())),
        RegistryError,
        "no no",
        "…",
    ),
    Row("errors as deep as a well", on(TAG, instead(400, b"[" * 100_000)), RegistryError, "refused"),
]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProxy]:
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        upload(registry.host)
        with faulty_proxy(registry.host) as proxy:
            yield proxy


@pytest.fixture(scope="module")
def other() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def before(proxy: FaultyProxy, other: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state root with the older image under the names that are pulled."""
    scene = Scene(proxy, other, tmp_path_factory.mktemp("before") / "root")
    with scene.store() as store:
        old = store.pull(f"{proxy.host}/team/app:old")
        for host in (proxy.host, proxy.upstream):
            store.images.tag(old.id, f"{host}/team/app:1")
    return scene.directory


@pytest.fixture
def scene(proxy: FaultyProxy, other: FakeServer, before: Path, tmp_path: Path) -> Iterator[Scene]:
    """A store with the older image under the name, and a registry without faults."""
    proxy.behave()
    other.requests.clear()
    yield Scene(proxy, other, Path(shutil.copytree(before, tmp_path / "root")))
    proxy.behave()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.what)
def test_a_pull_ends_well_or_changes_nothing(scene: Scene, row: Row) -> None:
    row.arrange(scene)
    with scene.store() as store:
        before = store.contents()
        if row.error is None:
            store.check_new(store.pull())
        else:
            with pytest.raises(row.error) as caught:
                store.pull()
            check_message(str(caught.value), row.words)
            assert store.contents().names == before.names
            assert store.contents().blobs >= before.blobs
        store.check()
    assert scene.proxy.count(EVERYTHING) > 0
    check_secrets(scene)
    scene.proxy.behave()
    with replace(scene, limits=DEFAULT_LIMITS).store() as store:
        store.check_new(store.pull())


def check_message(message: str, words: tuple[str, ...]) -> None:
    """Fail unless the message has these words, and nothing that a stranger could do harm with."""
    assert [word for word in words if word not in message] == []
    assert message.isprintable()
    assert len(message) < 1500


def check_secrets(scene: Scene) -> None:
    """Fail where another host was shown a secret or a cookie, or the registry a cookie."""
    for request in scene.other.requests:
        assert not {"authorization", "cookie"} & {name.lower() for name in request.headers}
    assert not any("cookie" in request.headers for request in scene.proxy.requests)


def test_what_is_on_another_host_is_fetched_without_secrets(scene: Scene) -> None:
    elsewhere(scene)
    with scene.store() as store:
        store.check_new(store.pull())
    assert len(scene.other.requests) == 3
    assert sum("authorization" in request.headers for request in scene.proxy.requests) == 4
    check_secrets(scene)


def test_tls_is_never_given_up(scene: Scene, tmp_path: Path) -> None:
    """A registry that speaks TLS sends on to a host that doesn't, which would do were it asked directly."""
    certificate = tmp_path / "both.pem"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*request, "-subj", "/CN=localhost", "-keyout", certificate, "-out", tmp_path / "crt"], check=True)
    certificate.write_bytes(certificate.read_bytes() + (tmp_path / "crt").read_bytes())
    with faulty_proxy(scene.proxy.upstream, certificate) as secure:
        secure.on(LAYER, instead(307, Location=f"{scene.other.url}/layer"))
        scene.other.routes["/layer"] = Reply(200, NEW.layers[0])
        with scene.store() as store:
            with pytest.raises(RegistryError, match="from https to plain http"):
                store.pull(f"{secure.host}/team/app:1")
            store.check()
        secure.behave()
        with scene.store() as store:
            store.check_new(store.pull(f"{secure.host}/team/app:1"))
    assert scene.other.requests == []
