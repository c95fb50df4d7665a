"""A real registry behind a faulty proxy, an image in it, and a store that has an older one under the same name."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import random
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from dockmagic.database import Database
from dockmagic.image.auth import Credentials
from dockmagic.image.fsck import fsck
from dockmagic.image.limits import DEFAULT_LIMITS, Limits
from dockmagic.image.pull import pull
from dockmagic.image.registries import Registries
from dockmagic.image.registry import RegistryClient
from dockmagic.image.retry import Retry, Timeouts
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.integration.faulty_proxy import FaultyProxy, instead
from tests.unit.image.fake_server import FakeServer

REPOSITORY: Final = "team/app"
HERE: Final = Platform("linux", "amd64")
RETRY: Final = Retry(attempts=3, base_s=0.001, longest_s=2.0)
PATIENT: Final = Timeouts(connect_s=5.0, read_s=10.0)
HASTY: Final = Timeouts(connect_s=5.0, read_s=0.3)


def archive(files: Mapping[str, bytes]) -> bytes:
    """A plain layer with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """The descriptor of these bytes, with fields that may contradict them."""
    return {"mediaType": media_type, "digest": Digest.of(data), "size": len(data)} | more


@dataclass(frozen=True)
class Sample:
    """An image as a registry has it: the documents, and all blobs by digest."""

    manifest: bytes
    config: bytes
    layers: tuple[bytes, ...]

    @property
    def digest(self) -> Digest:
        """Of the manifest."""
        return Digest.of(self.manifest)


def sample(plain: list[bytes], *, stored: list[bytes] | None = None, **config: Any) -> Sample:
    """An image of these plain layers, or of `stored` ones in their place; the config's fields may be others."""
    layers = [gzip.compress(layer, mtime=0) for layer in plain] if stored is None else stored
    rootfs = {"type": "layers", "diff_ids": [Digest.of(layer) for layer in plain]}
    data = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs} | config).encode()
    document = manifest(data, layers)
    return Sample(json.dumps(document).encode(), data, tuple(layers))


def manifest(config: bytes, layers: list[bytes]) -> dict[str, Any]:
    """The manifest of a config and layers."""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, OCI_CONFIG),
        "layers": [descriptor(layer, OCI_LAYER_GZIP) for layer in layers],
    }


def index(*entries: dict[str, Any]) -> bytes:
    """An index of these descriptors."""
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


BIG: Final = archive({"big": random.Random(1).randbytes(600_000), "which": b"new"})
SMALL: Final = archive({"small": b"small"})
NEW: Final = sample([BIG, SMALL])
OLD: Final = sample([archive({"which": b"old"})])
MANY: Final = index(descriptor(NEW.manifest, OCI_MANIFEST, platform={"os": "linux", "architecture": "amd64"}))

TAG: Final = "/manifests/1$"
CHILD: Final = f"/manifests/{NEW.digest}$"
CONFIG: Final = f"/blobs/{Digest.of(NEW.config)}"
LAYER: Final = f"/blobs/{Digest.of(NEW.layers[0])}"
TOP: Final = f"/blobs/{Digest.of(NEW.layers[1])}"
EVERYTHING: Final = "/v2/team/"
CHUNK: Final = 1 << 18  # bytes of a body that a client reads at once


def upload(host: str) -> None:
    """Put the images into a registry: the new one as 1 and many, the old one as old."""
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        for image in (NEW, OLD):
            for blob in (image.config, *image.layers):
                place = _sent(connection, "POST", f"/v2/{REPOSITORY}/blobs/uploads/")
                parts = urlsplit(place)
                _sent(connection, "PUT", f"{parts.path}?{parts.query}&digest={Digest.of(blob)}", blob)
        for tag, data, kind in (("old", OLD.manifest, OCI_MANIFEST), ("1", NEW.manifest, OCI_MANIFEST)):
            _sent(connection, "PUT", f"/v2/{REPOSITORY}/manifests/{tag}", data, kind)
        _sent(connection, "PUT", f"/v2/{REPOSITORY}/manifests/many", MANY, OCI_INDEX)
    finally:
        connection.close()


def _sent(connection: http.client.HTTPConnection, method: str, url: str, data: bytes = b"", kind: str = "") -> str:
    """Where the registry says that it is now."""
    connection.request(method, url, data, {"Content-Type": kind or "application/octet-stream"})
    response = connection.getresponse()
    body = response.read()
    assert response.status in (201, 202), (method, url, response.status, body)
    return response.getheader("Location", "")


@dataclass
class Scene:
    """One case's parts. What the case arranges is in `proxy`, `other`, `accounts`, `registries` and `limits`."""

    proxy: FaultyProxy
    other: FakeServer
    directory: Path
    tag: str = "1"
    host: str = ""
    accounts: dict[str, Credentials] = field(default_factory=dict)
    registries: Registries = field(default_factory=Registries)
    limits: Limits = DEFAULT_LIMITS
    timeouts: Timeouts = PATIENT

    def __post_init__(self) -> None:
        self.host = self.host or self.proxy.host

    @property
    def name(self) -> str:
        """What is pulled."""
        return f"{self.host}/{REPOSITORY}:{self.tag}"

    def serve(self, tag: str, data: bytes, media_type: str = OCI_MANIFEST, **headers: str) -> None:
        """Answer with this document where a tag or a digest is asked for, as if the registry had it."""
        headers = {"Content_Type": media_type, "Docker_Content_Digest": Digest.of(data)} | headers
        self.proxy.on(f"/manifests/{tag}$", instead(200, data, **headers))

    def serve_blob(self, data: bytes) -> None:
        """Answer with these bytes where their digest is asked for."""
        self.proxy.on(f"/blobs/{Digest.of(data)}$", instead(200, data))

    def serve_image(self, image: Sample) -> None:
        """Answer with this image where the tag is asked for."""
        self.serve(self.tag, image.manifest)
        for blob in (image.config, *image.layers):
            self.serve_blob(blob)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store, opened as the next process would."""
        database = Database(self.directory / "state.db")
        try:
            images = ImageStore(self.directory, database)
            snapshots = Snapshots(self.directory, database, images, images.workspaces, self.limits)
            yield Store(self, database, images, snapshots)
        finally:
            database.close()


@dataclass(frozen=True)
class Contents:
    """What a store has: the image of each name, and which blobs."""

    names: Mapping[str, str]
    blobs: frozenset[str]


@dataclass(frozen=True)
class Store:
    """A store that is open."""

    scene: Scene
    database: Database
    images: ImageStore
    snapshots: Snapshots

    def pull(self, name: str = "") -> Image:
        """Pull into it, with little patience."""
        client = RegistryClient(
            credentials_of=self.scene.accounts.get,
            registries=self.scene.registries,
            retry=RETRY,
            timeouts=self.scene.timeouts,
        )
        try:
            reference = Reference.parse(name or self.scene.name)
            return pull(reference, client=client, store=self.images, snapshots=self.snapshots, platform=HERE)
        finally:
            client.close()

    def contents(self) -> Contents:
        """What there is; every blob is what its name says, and nothing is under way."""
        names = {str(each): str(image.id) for image in self.images.list_images() for each in image.references}
        files = [path for path in (self.scene.directory / "blobs").glob("*/*") if path.is_file()]
        for path in files:
            assert Digest.of(path.read_bytes()).hex == path.name
        assert list((self.scene.directory / "tmp").iterdir()) == []
        return Contents(names, frozenset(path.name for path in files))

    def check(self) -> None:
        """Fail unless fsck finds nothing wrong."""
        report = fsck(self.database, self.images, self.snapshots, full=True, dry_run=True)
        assert report.faults == ()

    def check_new(self, image: Image) -> None:
        """Fail unless this is the new image, whole and unpacked."""
        assert image.id == Digest.of(NEW.config)
        below, above = reversed(self.snapshots.lower(image.config.diff_ids))
        assert (below / "which").read_bytes() == b"new"
        assert (below / "big").stat().st_size == 600_000
        assert (above / "small").read_bytes() == b"small"
