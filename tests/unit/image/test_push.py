from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

import pytest

from dockmagic.errors import (
    DigestMismatch,
    InvalidOption,
    InvalidReference,
    NotFound,
    RegistryError,
    StoreError,
    Unauthorized,
)
from dockmagic.events import Event, PushFinished, PushProgress, PushStarted
from dockmagic.image.auth import Credentials
from dockmagic.image.push import Pushed, chosen, push
from dockmagic.image.registries import Registries
from dockmagic.image.registry import RegistryClient
from dockmagic.image.retry import Retry
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, OCI_MANIFEST, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.manifest import dump_manifest
from dockmagic.oci.reference import Reference
from tests.unit.image.conftest import MakeImage, MakeLayer
from tests.unit.image.fake_registry import FakeRegistry, accepting, once, refusal
from tests.unit.image.fake_server import Reply, Request

QUICK: Final = Retry(attempts=2, base_s=0.001)
FOREIGN: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
Send = Callable[..., list[Event]]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with accepting() as registry:
        yield registry


@pytest.fixture
def send(store: ImageStore) -> Iterator[Send]:
    client = RegistryClient(retry=QUICK, registries=Registries(chunk_bytes=4096))

    def send(name: str, *, all_tags: bool = False) -> list[Event]:
        """Push what this name means; what was said meanwhile."""
        said: list[Event] = []
        items = chosen(store, name, all_tags=all_tags, platform=None)
        pushed = push(items, client=client, store=store, on_event=said.append)
        finished = [event for event in said if isinstance(event, PushFinished)]
        assert pushed == tuple(Pushed(Reference.parse(e.reference), Digest(e.digest), e.size_bytes) for e in finished)
        return said

    yield send
    client.close()


@pytest.fixture
def image(registry: FakeRegistry, make_image: MakeImage, make_layer: MakeLayer) -> Image:
    """An image of two layers that is called app:1."""
    lower = make_layer(a="a" * 20_000)
    return make_image(f"{registry.host}/app:1", layers=(lower, make_layer(lower, b="b")))


def statuses(said: Sequence[Event]) -> list[str]:
    """The distinct states of layers, in order."""
    return list(dict.fromkeys(event.status for event in said if isinstance(event, PushProgress)))


def test_a_push_is_whole(registry: FakeRegistry, send: Send, store: ImageStore, image: Image) -> None:
    said = send(f"{registry.host}/app:1")
    raw = store.read_blob(image.manifest_digest)
    assert registry.manifests == {("app", "1"): (OCI_MANIFEST, raw)}
    digests = {image.id, *(layer.digest for layer in image.manifest.layers)}
    assert registry.blobs["app"] == {digest: store.read_blob(Digest(digest)) for digest in digests}
    assert said[0] == PushStarted(f"{registry.host}/app")
    assert said[-1] == PushFinished(f"{registry.host}/app:1", image.manifest_digest, len(raw))
    assert statuses(said) == ["preparing", "waiting", "uploading", "pushed"]
    assert {event.digest for event in said if isinstance(event, PushProgress)} == digests - {image.id}
    assert registry.server.requests[-1].path == "/v2/app/manifests/1"


def test_a_second_push_sends_nothing(registry: FakeRegistry, send: Send, image: Image) -> None:
    send(f"{registry.host}/app:1")
    before = len(registry.server.requests)
    assert statuses(send(f"{registry.host}/app:1")) == ["preparing", "waiting", "exists"]
    assert [request.method for request in registry.server.requests[before:]].count("POST") == 0


def test_another_repository_mounts(registry: FakeRegistry, send: Send, store: ImageStore, image: Image) -> None:
    send(f"{registry.host}/app:1")
    store.tag(f"{registry.host}/app:1", f"{registry.host}/team/copy:2")
    said = send(f"{registry.host}/team/copy:2")
    assert statuses(said) == ["preparing", "waiting", "mounted"]
    assert registry.blobs["team/copy"] == registry.blobs["app"]
    assert registry.manifests["team/copy", "2"] == registry.manifests["app", "1"]


def test_all_tags(
    registry: FakeRegistry, send: Send, store: ImageStore, make_image: MakeImage, make_layer: MakeLayer
) -> None:
    layer = make_layer(a="a")
    make_image(f"{registry.host}/app:2", layers=(layer,), cmd="two")
    make_image(f"{registry.host}/app:1", layers=(layer, make_layer(layer, b="b")))
    make_image(f"{registry.host}/other:3", layers=(layer,), cmd="three")
    said = send(f"{registry.host}/app", all_tags=True)
    assert [event.reference[-5:] for event in said if isinstance(event, PushFinished)] == ["app:1", "app:2"]
    assert set(registry.manifests) == {("app", "1"), ("app", "2")}
    shared = f"/v2/app/blobs/{layer.descriptor.digest}"
    assert [request.path for request in registry.calls("HEAD")].count(shared) == 1
    assert len(registry.calls("PUT")) == 2 + 2 + 2  # layers, configs, manifests


def test_a_layer_that_an_image_has_twice_goes_once(
    registry: FakeRegistry, send: Send, make_image: MakeImage, make_layer: MakeLayer
) -> None:
    layer = make_layer(a="a")
    make_image(f"{registry.host}/app:1", layers=(layer, layer))
    send(f"{registry.host}/app:1")
    assert len(registry.calls("POST")) == 2


def test_docker_s_manifests_stay_docker_s(registry: FakeRegistry, send: Send, store: ImageStore, image: Image) -> None:
    layers = tuple(replace(layer, media_type=DOCKER_LAYER_GZIP) for layer in image.manifest.layers)
    config = replace(image.manifest.config, media_type=DOCKER_CONFIG)
    manifest = replace(image.manifest, config=config, layers=layers, media_type=DOCKER_MANIFEST)
    raw = dump_manifest(manifest).replace(b"{", b"{ \n", 1)  # nobody's way of writing it but its own
    name = Reference.parse(f"{registry.host}/app:docker")
    raw_config = store.read_blob(image.id)
    store.add_image(image.config, layers, references=[name], raw_config=raw_config, raw_manifest=raw)
    said = send(str(name))
    assert registry.manifests["app", "docker"] == (DOCKER_MANIFEST, raw)
    assert said[-1] == PushFinished(str(name), Digest.of(raw), len(raw))


def test_foreign_layers_stay_where_they_are(
    registry: FakeRegistry, send: Send, store: ImageStore, image: Image
) -> None:
    lower, upper = image.manifest.layers
    foreign = replace(lower, media_type=FOREIGN, urls=("https://far.example/layer",))
    store.add_image(image.config, [foreign, upper], references=[Reference.parse(f"{registry.host}/app:f")],
                    raw_manifest=dump_manifest(replace(image.manifest, layers=(foreign, upper))))  # fmt: skip
    said = send(f"{registry.host}/app:f")
    assert [event for event in said if isinstance(event, PushProgress) and event.digest == lower.digest] == [
        PushProgress(lower.digest, "preparing", 0, lower.size),
        PushProgress(lower.digest, "skipped", 0, lower.size),
    ]
    assert set(registry.blobs["app"]) == {image.id, upper.digest}


def test_a_mirror_gets_nothing(registry: FakeRegistry, store: ImageStore, image: Image) -> None:
    with accepting() as mirror:
        client = RegistryClient(retry=QUICK, registries=Registries({registry.host: (mirror.server.url,)}))
        items = chosen(store, f"{registry.host}/app:1", all_tags=False, platform=None)
        push(items, client=client, store=store)
        client.close()
        assert mirror.server.requests == []


def test_warnings_are_passed_on_once(registry: FakeRegistry, store: ImageStore, image: Image) -> None:
    def warned(request: Request) -> Reply | None:
        return Reply(202, headers={"Location": "/v2/app/blobs/uploads/x", "Warning": '299 - "Going \\"away\\""'})

    registry.faults.append(once("POST", warned))
    registry.faults.append(once("PUT", Reply(201, headers={"Warning": '299 - "Going \\"away\\"", 299 - "Soon"'})))
    said: list[tuple[str, str]] = []
    with closing(RegistryClient(on_warning=lambda host, message: said.append((host, message)))) as client:
        push(chosen(store, f"{registry.host}/app:1", all_tags=False, platform=None), client=client, store=store)
    assert said == [(registry.host, 'Going "away"'), (registry.host, "Soon")]


def test_a_denied_push(registry: FakeRegistry, send: Send, image: Image) -> None:
    registry.faults.append(lambda request: refusal(403, "DENIED") if request.method == "POST" else None)
    with pytest.raises(Unauthorized, match="denied: requested access to the resource is denied"):
        send(f"{registry.host}/app:1")
    assert registry.manifests == {}


def test_name_and_password(registry: FakeRegistry, store: ImageStore, image: Image) -> None:
    basic = f"Basic {b64encode(b'me:secret').decode()}"
    asks = Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    registry.faults.append(lambda request: None if request.headers.get("Authorization") == basic else asks)
    items = chosen(store, f"{registry.host}/app:1", all_tags=False, platform=None)
    for credentials in (Credentials("me", "secret"), Credentials("me", "wrong"), None):
        client = RegistryClient(retry=QUICK, credentials_of={registry.host: credentials}.get)
        with closing(client):
            if credentials == Credentials("me", "secret"):
                push(items, client=client, store=store)
                continue
            with pytest.raises(Unauthorized, match=r"unauthorized: authentication required; log in \('docker login'\)"):
                push(items, client=client, store=store)


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Push one blob after the other: an upload whose beginning is broken off has no address to be cancelled at."""
    monkeypatch.setattr("dockmagic.image.push.AT_ONCE", 1)


@pytest.mark.usefixtures("one_at_a_time")
def test_no_tag_names_what_is_not_whole(registry: FakeRegistry, send: Send, store: ImageStore, image: Image) -> None:
    store.blob_path(image.manifest.layers[1].digest).unlink()
    with pytest.raises(NotFound, match="fsck"):
        send(f"{registry.host}/app:1")
    assert registry.manifests == {}
    assert registry.uploads == {}


@pytest.mark.usefixtures("one_at_a_time")
def test_a_blob_that_was_damaged_here(registry: FakeRegistry, send: Send, store: ImageStore, image: Image) -> None:
    path = store.blob_path(image.manifest.layers[0].digest)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="too early; `system fsck`"):
        send(f"{registry.host}/app:1")
    assert registry.uploads == {}


def test_another_digest_than_ours(registry: FakeRegistry, send: Send, image: Image) -> None:
    wrong = Reply(201, headers={"Docker-Content-Digest": Digest.of(b"x")})
    registry.faults.append(lambda request: wrong if "/manifests/" in request.path else None)
    with pytest.raises(DigestMismatch, match="in the registry"):
        send(f"{registry.host}/app:1")


def test_a_manifest_is_tried_again(registry: FakeRegistry, send: Send, image: Image) -> None:
    left = [Reply(503)]
    registry.faults.append(lambda request: left.pop() if "/manifests/" in request.path and left else None)
    send(f"{registry.host}/app:1")
    assert ("app", "1") in registry.manifests


def test_a_blob_that_the_registry_lost_meanwhile(registry: FakeRegistry, send: Send, image: Image) -> None:
    lost = refusal(404, "MANIFEST_BLOB_UNKNOWN")
    registry.faults.append(lambda request: lost if "/manifests/" in request.path else None)
    with pytest.raises(RegistryError, match=r"has lost a part of the manifest for .*; push it again"):
        send(f"{registry.host}/app:1")


def test_one_failure_ends_the_others(
    registry: FakeRegistry, send: Send, make_image: MakeImage, make_layer: MakeLayer
) -> None:
    """While one upload is refused, another waits for an answer that never comes."""
    layers = [make_layer(**{name: name * 9000}) for name in "ab"]
    make_image(f"{registry.host}/app:1", layers=tuple(layers))
    waiting, release = threading.Event(), threading.Event()
    first = f"/v2/app/blobs/{layers[0].descriptor.digest}"

    def fault(request: Request) -> Reply | None:
        if request.method == "HEAD" and request.path == first:
            waiting.set()
            release.wait(20)
        if request.method == "PUT":
            waiting.wait(20)
            return refusal(403, "DENIED")
        return None

    registry.faults.append(fault)
    begun = time.monotonic()
    try:
        with pytest.raises(Unauthorized):
            send(f"{registry.host}/app:1")
        assert time.monotonic() - begun < 10
    finally:
        release.set()
    assert not any(registry.uploads.values())  # one whose beginning was broken off has no address to be cancelled at


def test_an_interrupt_ends_the_uploads(registry: FakeRegistry, store: ImageStore, image: Image) -> None:
    client = RegistryClient(retry=QUICK)
    release = threading.Event()

    def hang(request: Request) -> Reply | None:
        if request.method == "PUT":
            release.wait(20)
        return None

    def on_event(event: Event) -> None:
        if isinstance(event, PushProgress) and event.status == "uploading" and event.current_bytes:
            raise KeyboardInterrupt

    registry.faults.append(hang)
    items = chosen(store, f"{registry.host}/app:1", all_tags=False, platform=None)
    try:
        with pytest.raises(KeyboardInterrupt):
            push(items, client=client, store=store, on_event=on_event)
        assert {request.path for request in registry.calls("DELETE")} >= {
            request.path for request in registry.calls("PUT")
        }
    finally:
        release.set()
        client.close()
    assert not any(thread.name.startswith("push") for thread in threading.enumerate())


def test_names_that_can_not_be_pushed(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app:1")
    with pytest.raises(InvalidReference, match="cannot push a digest reference"):
        chosen(store, f"app@{image.manifest_digest}", all_tags=False, platform=None)
    with pytest.raises(InvalidOption, match="tag can't be used with --all-tags/-a"):
        chosen(store, "app:1", all_tags=True, platform=None)
    with pytest.raises(NotFound, match="no such image: app:latest; name one so with `tag`"):
        chosen(store, "app", all_tags=False, platform=None)
    with pytest.raises(NotFound, match="no such image: other; "):
        chosen(store, "other", all_tags=True, platform=None)
    with pytest.raises(NotFound):
        chosen(store, image.id.hex[:12], all_tags=False, platform=None)


def test_a_platform(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app:1")
    ours = Platform("linux", "amd64")
    assert chosen(store, "app:1", all_tags=False, platform=ours) == [(Reference.parse("app:1"), image)]
    with pytest.raises(InvalidOption, match=r"does not provide the specified platform \(linux/s390x\)"):
        chosen(store, "app:1", all_tags=False, platform=Platform("linux", "s390x"))
