from __future__ import annotations

import gzip
import io
import json
import os
import random
import signal
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dockmagic.database import Database
from dockmagic.errors import DigestMismatch, DockmagicError, InvalidManifest, RegistryError, StoreError
from dockmagic.events import Event, PullFinished, PullProgress, PullStarted
from dockmagic.image.pull import pull
from dockmagic.image.registry import RegistryClient
from dockmagic.image.retry import Retry
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Platform,
)
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, Reply, Request, serving

HERE = Platform("linux", "amd64")
REPOSITORY = "team/app"


def archive(**files: str) -> bytes:
    """A layer with these files, which belong to whoever runs the tests."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            member.uid, member.gid = os.geteuid(), os.getegid()
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


@dataclass
class Bench:
    """A registry, a state root, and what a pull reported."""

    server: FakeServer
    root: Path
    store: ImageStore
    snapshots: Snapshots
    client: RegistryClient
    events: list[Event]

    def pull(self, tag: str = "1", on_event: Callable[[Event], None] | None = None) -> Image:
        reference = Reference.parse(f"{self.server.host}/{REPOSITORY}{'@' if ':' in tag else ':'}{tag}")
        return pull(
            reference,
            client=self.client,
            store=self.store,
            snapshots=self.snapshots,
            platform=HERE,
            on_event=on_event or self.events.append,
        )

    def serve(
        self,
        layers: list[bytes],
        tag: str = "1",
        *,
        docker: bool = False,
        config: dict[str, Any] | None = None,
        manifest: dict[str, Any] | None = None,
        layer_type: str = "",
    ) -> Digest:
        """Serve an image of these plain archives, which are compressed first; the digest of its manifest."""
        diff_ids = [Digest.of(layer) for layer in layers]
        whole = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        config_data = json.dumps(whole | (config or {})).encode()
        layer_type = layer_type or (DOCKER_LAYER_GZIP if docker else OCI_LAYER_GZIP)
        document = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
            "config": self.blob(config_data, DOCKER_CONFIG if docker else OCI_CONFIG),
            "layers": [self.blob(gzip.compress(layer, mtime=0), layer_type) for layer in layers],
        }
        document |= manifest or {}
        return self.server.add_manifest(REPOSITORY, tag, json.dumps(document).encode(), str(document["mediaType"]))

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Serve a blob; its descriptor."""
        return {"mediaType": media_type, "digest": self.server.add_blob(REPOSITORY, data), "size": len(data)}

    def serve_index(self, entries: dict[Digest, str], tag: str = "1", media_type: str = OCI_INDEX) -> Digest:
        """Serve an index of these manifests, by digest and "os/architecture"."""
        manifests = []
        for digest, platform in entries.items():
            reply = self.server.routes[f"/v2/{REPOSITORY}/manifests/{digest}"]
            assert isinstance(reply, Reply)
            os_name, _, architecture = platform.partition("/")
            manifests.append(
                {
                    "mediaType": reply.headers["Content-Type"],
                    "digest": digest,
                    "size": len(reply.body),
                    "platform": {"os": os_name, "architecture": architecture},
                }
            )
        document = {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
        return self.server.add_manifest(REPOSITORY, tag, json.dumps(document).encode(), media_type)

    def statuses(self) -> list[tuple[int, str]]:
        """What was reported of each layer (by its order of appearance), repeated statuses once."""
        found: list[tuple[int, str]] = []
        digests: list[str] = []
        for event in self.events:
            if isinstance(event, PullProgress):
                digests += [] if event.digest in digests else [event.digest]
                item = (digests.index(event.digest), event.status)
                found += [] if found[-1:] == [item] else [item]
        return found

    def way(self, layer: int) -> list[str]:
        """What was reported of one layer, repeated statuses once."""
        found = [status for number, status in self.statuses() if number == layer]
        return [status for number, status in enumerate(found) if found[number - 1 : number] != [status]]

    def blobs(self) -> int:
        return len(list((self.root / "blobs").glob("*/*")))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    root = tmp_path / "root"
    database = Database(root / "state.db")
    store = ImageStore(root, database)
    client = RegistryClient(retry=Retry(attempts=3, base_s=0.001))
    with serving() as server:
        yield Bench(server, root, store, Snapshots(root, database, store, store.workspaces), client, [])
    client.close()
    database.close()
    assert list((root / "tmp").iterdir()) == []


@pytest.mark.parametrize("docker", [False, True])
def test_an_image_is_pulled_and_unpacked(bench: Bench, docker: bool) -> None:
    digest = bench.serve([archive(a="1", b="1"), archive(b="2")], docker=docker)
    image = bench.pull()
    assert image.manifest_digest == digest
    assert image.references == (Reference.parse(f"{bench.server.host}/{REPOSITORY}:1"),)
    lower = bench.snapshots.lower(image.config.diff_ids)
    assert [(path / "b").read_text() for path in lower] == ["2", "1"]
    assert bench.store.get(f"{bench.server.host}/{REPOSITORY}:1").id == image.id


def test_progress_is_reported_layer_by_layer(bench: Bench) -> None:
    digest = bench.serve([archive(a="1"), archive(b="2")])
    bench.pull()
    assert bench.statuses()[:2] == [(0, "waiting"), (1, "waiting")]
    assert bench.way(0) == bench.way(1) == ["waiting", "downloading", "downloaded", "extracting", "complete"]
    assert bench.events[-1] == PullFinished(f"{bench.server.host}/{REPOSITORY}:1", digest, updated=True)
    assert bench.events[0] == PullStarted("1", REPOSITORY)
    for event in bench.events[1:-1]:
        assert isinstance(event, PullProgress)
        assert 0 <= event.current_bytes <= event.total_bytes


def test_a_second_pull_fetches_only_the_manifest(bench: Bench) -> None:
    bench.serve([archive(a="1")])
    first = bench.pull()
    bench.events.clear()
    bench.server.requests.clear()
    assert bench.pull() == first
    assert bench.server.paths() == [f"/v2/{REPOSITORY}/manifests/1"]
    assert bench.statuses() == [(0, "waiting"), (0, "exists")]
    assert isinstance(bench.events[-1], PullFinished)
    assert not bench.events[-1].updated


def test_a_tag_that_moved_is_followed(bench: Bench) -> None:
    bench.serve([archive(a="1")])
    first = bench.pull()
    bench.events.clear()
    bench.serve([archive(a="1"), archive(a="2")])
    second = bench.pull()
    assert second.id != first.id
    assert bench.store.get(first.id).references == ()
    assert bench.way(0) == ["waiting", "exists"]
    assert bench.way(1) == ["waiting", "downloading", "downloaded", "extracting", "complete"]


def test_by_digest(bench: Bench) -> None:
    digest = bench.serve([archive(a="1")])
    image = bench.pull(digest)
    assert bench.store.get(f"{bench.server.host}/{REPOSITORY}@{digest}").id == image.id


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_an_index_leads_to_this_platform(bench: Bench, media_type: str) -> None:
    other = bench.serve([archive(a="arm")], "arm", config={"architecture": "arm64"})
    ours = bench.serve([archive(a="amd")], "amd")
    attestation = bench.serve([archive(a="x")], "x", config={"architecture": "unknown", "os": "unknown"})
    entries = {attestation: "unknown/unknown", other: "linux/arm64", ours: "linux/amd64"}
    top = bench.serve_index(entries, media_type=media_type)
    assert bench.pull().manifest_digest == ours
    assert isinstance(bench.events[-1], PullFinished)
    assert bench.events[-1].digest == top


def test_an_index_in_an_index_is_followed(bench: Bench) -> None:
    ours = bench.serve([archive(a="amd")], "amd")
    inner = bench.serve_index({ours: "linux/amd64"}, "inner")
    bench.serve_index({inner: "linux/amd64"})
    assert bench.pull().manifest_digest == ours


def test_indexes_without_end_are_refused(bench: Bench) -> None:
    inner = bench.serve([archive(a="amd")], "amd")
    for _ in range(5):
        inner = bench.serve_index({inner: "linux/amd64"})
    with pytest.raises(InvalidManifest, match="deep"):
        bench.pull()


def test_an_index_without_this_platform_names_what_it_has(bench: Bench) -> None:
    other = bench.serve([archive(a="arm")], "arm", config={"architecture": "arm64"})
    unknown = bench.serve([archive(a="x")], "x")
    bench.serve_index({other: "linux/arm64", unknown: "unknown/unknown"})
    with pytest.raises(InvalidManifest, match=r"no matching manifest for linux/amd64 .* it has linux/arm64$"):
        bench.pull()


def test_an_image_for_another_platform_is_refused(bench: Bench) -> None:
    bench.serve([archive(a="1")], config={"architecture": "s390x"})
    with pytest.raises(InvalidManifest, match=r"for linux/s390x, which does not run on linux/amd64"):
        bench.pull()


def test_an_image_without_layers_is_an_image(bench: Bench) -> None:
    bench.serve([])
    assert bench.pull().chain_ids == ()


def refused(bench: Bench, kind: type[DockmagicError], words: str) -> None:
    """Check that the pull fails so, and that nothing has a name afterwards."""
    with pytest.raises(kind, match=words):
        bench.pull()
    assert bench.store.list_images() == []
    assert not any(isinstance(event, PullFinished) for event in bench.events)


def test_artifacts_are_refused(bench: Bench) -> None:
    bench.serve([archive(a="1")], manifest={"artifactType": "application/vnd.example.sbom"})
    refused(bench, InvalidManifest, r"no image but an artifact of type application/vnd\.example\.sbom")
    config = bench.blob(b"{}", "application/vnd.cncf.helm.config.v1+json")
    bench.serve([archive(a="1")], manifest={"config": config})
    refused(bench, InvalidManifest, r"artifact of type application/vnd\.cncf\.helm")


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ],
)
def test_foreign_layers_are_refused(bench: Bench, media_type: str) -> None:
    bench.serve([archive(a="1")], layer_type=media_type)
    refused(bench, InvalidManifest, "is foreign")
    assert bench.blobs() == 0


def test_layers_of_an_unknown_type_are_refused(bench: Bench) -> None:
    bench.serve([archive(a="1")], layer_type="application/vnd.example.layer")
    refused(bench, InvalidManifest, "unknown type 'application/vnd.example.layer'")


def test_a_config_that_fits_no_manifest_is_refused(bench: Bench) -> None:
    bench.serve([archive(a="1")], config={"rootfs": {"type": "layers", "diff_ids": []}})
    refused(bench, InvalidManifest, "1 layers, but the config names 0")


def test_a_huge_config_is_refused(bench: Bench) -> None:
    config = bench.blob(b"{}", OCI_CONFIG) | {"size": 1 << 30}
    bench.serve([archive(a="1")], manifest={"config": config})
    refused(bench, InvalidManifest, "the config has 1073741824 bytes")


def change_layer(bench: Bench, reply: Reply) -> None:
    """Serve an image whose only layer is answered so."""
    layer = archive(a="1")
    bench.serve([layer])
    digest = Digest.of(gzip.compress(layer, mtime=0))
    bench.server.routes[f"/v2/{REPOSITORY}/blobs/{digest}"] = reply


@pytest.mark.parametrize("body", [b"short", b"x" * 100_000, gzip.compress(archive(a="2"), mtime=0)])
def test_other_bytes_than_promised_are_refused(bench: Bench, body: bytes) -> None:
    change_layer(bench, Reply(200, body))
    refused(bench, DigestMismatch, "damaged or tampered with")
    assert bench.blobs() == 1  # the config


def test_a_blob_cut_off_leaves_nothing(bench: Bench) -> None:
    change_layer(bench, Reply(200, b"short", length=10))
    refused(bench, RegistryError, "broke off")
    assert bench.blobs() == 1


def test_a_blob_that_is_missing_is_named(bench: Bench) -> None:
    change_layer(bench, Reply(404))
    refused(bench, RegistryError, r"blob [0-9a-f]{12} of .*/team/app:1 not found")


def test_a_layer_with_another_diff_id_is_refused(bench: Bench) -> None:
    diff_ids = [Digest.of(b"something else")]
    bench.serve([archive(a="1")], config={"rootfs": {"type": "layers", "diff_ids": diff_ids}})
    refused(bench, DigestMismatch, Digest.of(b"something else"))
    assert list((bench.root / "layers").iterdir()) == []


def test_an_interruption_leaves_nothing_half_stored(bench: Bench) -> None:
    bench.serve([archive(a="1"), archive(b="2" * 100_000)])

    def interrupt(event: Event) -> None:
        bench.events.append(event)
        if bench.statuses()[-1:] == [(0, "complete")]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.pull(on_event=interrupt)
    assert bench.store.list_images() == []
    assert bench.blobs() in (2, 3)  # the config, the first layer, maybe the second: all whole
    bench.events.clear()
    bench.pull()
    assert (0, "exists") in bench.statuses()


def test_a_connection_that_breaks_again_and_again_is_resumed(bench: Bench) -> None:
    noise = random.Random(1).randbytes(900_000).hex()
    layer = archive(a=noise)
    bench.serve([layer])
    data = gzip.compress(layer, mtime=0)
    cut = 300_000

    def answer(request: Request) -> Reply:
        wanted = request.headers.get("Range", "bytes=0-")
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        content_range = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        rest = data[start:]
        status = 206 if "Range" in request.headers else 200
        return Reply(status, rest[:cut], content_range if start else {}, length=len(rest))

    path = f"/v2/{REPOSITORY}/blobs/{Digest.of(data)}"
    bench.server.routes[path] = answer
    bench.pull()
    ranges = [request.headers.get("Range", "") for request in bench.server.requests if request.path == path]
    assert len(ranges) > 2
    assert all(ranges[1:])
    assert "retrying" in bench.way(0)


def test_a_registry_without_ranges_begins_again(bench: Bench) -> None:
    layer = archive(a="1" * 1000)
    bench.serve([layer])
    data = gzip.compress(layer, mtime=0)
    replies = iter([Reply(200, data[:50], length=len(data)), Reply(200, data)])
    bench.server.routes[f"/v2/{REPOSITORY}/blobs/{Digest.of(data)}"] = lambda request: next(replies)
    bench.pull()


def test_a_registry_with_passing_trouble_is_asked_again(bench: Bench) -> None:
    layer = archive(a="1")
    bench.serve([layer])
    data = gzip.compress(layer, mtime=0)
    replies = iter([Reply(503), Reply(429, headers={"Retry-After": "0"}), Reply(200, data)])
    bench.server.routes[f"/v2/{REPOSITORY}/blobs/{Digest.of(data)}"] = lambda request: next(replies)
    bench.pull()


def test_a_layer_that_others_fetch_is_fetched_once(bench: Bench) -> None:
    layer = archive(a="1" * 1000)
    bench.serve([layer])
    data = gzip.compress(layer, mtime=0)
    path = f"/v2/{REPOSITORY}/blobs/{Digest.of(data)}"

    def slow(request: Request) -> Reply:
        time.sleep(0.3)
        return Reply(200, data)

    bench.server.routes[path] = slow
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(bench.pull, ["1", "1"])
    assert first.id == second.id
    assert bench.server.paths().count(path) == 1


def test_a_failed_pull_keeps_the_old_image(bench: Bench) -> None:
    bench.serve([archive(a="1")])
    old = bench.pull()
    change_layer(bench, Reply(404))
    bench.serve([archive(a="2")], config={"architecture": "s390x"})
    with pytest.raises(InvalidManifest):
        bench.pull()
    assert bench.store.get(f"{bench.server.host}/{REPOSITORY}:1") == old


def test_an_uncompressed_layer_will_do(bench: Bench) -> None:
    layer = archive(a="1")
    bench.serve([layer], manifest={"layers": [bench.blob(layer, OCI_LAYER)]})
    assert bench.pull().manifest.layers[0].digest == Digest.of(layer)


def test_a_disk_without_space_is_a_store_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.serve([archive(a="1")])

    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dockmagic.image.blobs.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        bench.pull()
    assert bench.blobs() == 0


def test_a_server_that_has_gone_silent_holds_nobody_up(bench: Bench) -> None:
    """The interruption comes while one layer's bytes are waited for."""
    change_layer(bench, Reply(200, b"short", length=10_000))
    bench.server.keep_open = True

    def interrupt() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    timer = threading.Timer(0.5, interrupt)
    digest = Digest.of(gzip.compress(archive(a="1"), mtime=0))
    bench.server.routes[f"/v2/{REPOSITORY}/blobs/{digest}"] = Reply(200, b"\x1f\x8bshort", length=10_000)
    began = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        bench.pull()
    assert time.monotonic() - began < 5
    assert bench.store.list_images() == []
