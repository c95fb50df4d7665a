"""A real registry (Debian's docker-registry) on a free loopback port, and the tools that put images into it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dockmagic.database import Database
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore

_CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {directory}}}, delete: {{enabled: true}}}}
http: {{addr: {host}, secret: none{tls}}}
{auth}
"""
_START_S = 20.0


@dataclass(frozen=True)
class Registry:
    """A running registry; `directory` is where it keeps what it has."""

    host: str
    directory: Path
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def push(self, layout: Path, repository: str, tag: str, *options: str) -> None:
        """Copy the image of an OCI layout into the registry, with skopeo; byte for byte unless options say else."""
        options = options or ("--preserve-digests",)
        target = f"docker://{self.host}/{repository}:{tag}"
        skopeo("copy", "--dest-tls-verify=false", *options, f"oci:{layout}:image", target)


@dataclass(frozen=True)
class StateRoot:
    """A state root with its parts."""

    path: Path
    store: ImageStore
    snapshots: Snapshots

    def leftovers(self) -> list[Path]:
        """What work in progress left in the root: nothing, where all is well."""
        return list((self.path / "tmp").iterdir())


@contextmanager
def state_root(path: Path) -> Iterator[StateRoot]:
    """A state root in a directory; at the end it must have no leftovers."""
    database = Database(path / "state.db")
    store = ImageStore(path, database)
    root = StateRoot(path, store, Snapshots(path, database, store, store.workspaces))
    try:
        yield root
    finally:
        database.close()
    assert root.leftovers() == []


@contextmanager
def running_registry(directory: Path, *, tls: str = "", auth: str = "") -> Iterator[Registry]:
    """A registry that keeps its data below `directory` and is gone at the end.

    `tls` and `auth` are the sections http.tls and auth of its configuration, in YAML on one line.
    """
    directory.mkdir(parents=True, exist_ok=True)
    registry = Registry(f"127.0.0.1:{_free_port()}", directory / "data", "https" if tls else "http")
    config = directory / "config.yml"
    sections = {"tls": f", tls: {tls}" if tls else "", "auth": f"auth: {auth}" if auth else ""}
    config.write_text(_CONFIG.format(directory=registry.directory, host=registry.host, **sections))
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=output, stderr=output)
    try:
        _wait_for(registry, process, log)
        yield registry
    finally:
        process.terminate()
        process.wait(10)


def make_layout(image: Image, store: ImageStore, directory: Path) -> Path:
    """An OCI layout that holds this image under the name "image". Source: image-spec image-layout.md."""
    manifest = image.manifest
    for digest in (image.manifest_digest, manifest.config.digest, *(layer.digest for layer in manifest.layers)):
        target = directory / "blobs" / digest.algorithm / digest.hex
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(store.blob_path(digest), target)
    entry = {
        "mediaType": image.manifest.media_type,
        "digest": image.manifest_digest,
        "size": store.blob_path(image.manifest_digest).stat().st_size,
        "annotations": {"org.opencontainers.image.ref.name": "image"},
    }
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return directory


def skopeo(*arguments: str) -> str:
    """What skopeo prints for this command, which must succeed."""
    command = ["skopeo", "--insecure-policy", *arguments]
    environment = os.environ | {"no_proxy": "127.0.0.1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(registry: Registry, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the registry answers."""
    host, _, port = registry.host.partition(":")
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with socket.create_connection((host, int(port)), timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the registry did not start: {log.read_text()}")
