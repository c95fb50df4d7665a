"""A state root, and short ways to put layers and images into it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.image.registry import RegistryClient
from dockmagic.image.retry import Retry
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, ImageConfig
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, serving

MakeLayer = Callable[..., Layer]
MakeImage = Callable[..., Image]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that answers as the test says."""
    with serving() as server:
        yield server


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    """A client that tries twice, and doesn't wait in between."""
    client = RegistryClient(retry=Retry(attempts=2, base_s=0.001))
    yield client
    client.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "root" / "state.db")
    yield database
    database.close()


@pytest.fixture
def store(tmp_path: Path, database: Database) -> ImageStore:
    return ImageStore(tmp_path / "root", database)


@pytest.fixture
def snapshots(tmp_path: Path, database: Database, store: ImageStore) -> Snapshots:
    return Snapshots(tmp_path / "root", database, store, store.workspaces)


@pytest.fixture
def make_layer(tmp_path: Path, snapshots: Snapshots) -> MakeLayer:
    numbers = itertools.count()

    def make(parent: Layer | None = None, **files: str) -> Layer:
        """A layer on top of `parent` with these files; the keywords are their names."""
        below = None if parent is None else parent.chain_id
        upper = tmp_path / "root" / f"upper-{next(numbers)}"
        snapshots.prepare(below, upper)
        for name, text in files.items():
            (upper / name).write_text(text)
        return snapshots.commit(below, upper)

    return make


@pytest.fixture
def make_image(store: ImageStore) -> MakeImage:
    def make(*names: str, layers: tuple[Layer, ...] = (), cmd: str = "sh", created: str = "") -> Image:
        """An image of these layers (lowest first) with these names; `cmd` makes it another one."""
        diff_ids: tuple[Digest, ...] = tuple(layer.diff_id for layer in layers)
        config = ImageConfig("amd64", "linux", ContainerConfig(cmd=(cmd,)), diff_ids, created=created)
        references = [Reference.parse(name) for name in names]
        return store.add_image(config, [layer.descriptor for layer in layers], references=references)

    return make
