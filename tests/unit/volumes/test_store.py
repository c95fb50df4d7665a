from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import Conflict, InvalidOption, NotFound
from dockmagic.oci.selection import Label, Selection
from dockmagic.volumes.store import VolumeStore
from dockmagic.volumes.verbs import Volumes

Container = Callable[[str], Path]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A state root's database."""
    database = Database(tmp_path / "state.db")
    yield database
    database.close()


@pytest.fixture
def store(tmp_path: Path, database: Database) -> VolumeStore:
    """The volumes of the root."""
    return VolumeStore(tmp_path, database)


@pytest.fixture
def container(tmp_path: Path) -> Container:
    """Makes a container's directory."""

    def make(container_id: str) -> Path:
        directory = tmp_path / "containers" / container_id
        directory.mkdir(parents=True)
        return directory

    return make


def test_a_volume_is_a_directory_that_others_may_enter(store: VolumeStore) -> None:
    volume = store.ensure("data", {"a": "1"}, {})
    assert volume.mountpoint.stat().st_mode & 0o777 == 0o755
    assert store.find("data") == volume
    assert (volume.anonymous, str(volume)) == (False, "data")


def test_what_is_there_stays_as_it_is(store: VolumeStore) -> None:
    first = store.ensure("data", {"a": "1"}, {})
    (first.mountpoint / "f").touch()
    assert store.ensure("data", {"a": "2"}, {}) == first
    assert (first.mountpoint / "f").exists()


def test_a_volume_without_a_name_has_a_mark(store: VolumeStore) -> None:
    volume = store.ensure("", {"a": "1"}, {})
    assert volume.anonymous
    assert volume.labels == {"a": "1", "com.docker.volume.anonymous": ""}
    assert len(volume.name) == 64


@pytest.mark.parametrize("name", ["..", ".x", "a/b", "a b", "-a", "x", "a\n", "é" * 3])
def test_names_that_are_none(store: VolumeStore, name: str) -> None:
    with pytest.raises(InvalidOption, match="volume name"):
        store.ensure(name, {}, {})


def test_a_volume_in_use_stays(store: VolumeStore, container: Container) -> None:
    directory = container("c1")
    store.use(store.ensure("data", {}, {}), "c1", remove=False)
    with pytest.raises(Conflict, match=r"volume is in use - \[c1\]"):
        store.remove("data")
    directory.rmdir()
    assert store.users() == {}
    store.remove("data")
    with pytest.raises(NotFound):
        store.find("data")


def test_a_new_volume_has_nothing_of_one_with_the_same_name(tmp_path: Path, store: VolumeStore) -> None:
    (store.ensure("data", {}, {}).mountpoint / "f").touch()
    store.remove("data")
    assert list(store.ensure("data", {}, {}).mountpoint.iterdir()) == []
    assert [path.name for path in (tmp_path / "volumes").iterdir()] == ["data"]


def test_a_container_that_goes_takes_what_has_no_name_and_no_other_user(
    store: VolumeStore, container: Container
) -> None:
    container("c1")
    container("c2")
    own, shared, named = store.ensure("", {}, {}), store.ensure("", {}, {}), store.ensure("data", {}, {})
    for volume in (own, shared, named):
        store.use(volume, "c1", remove=False)
    store.use(shared, "c2", remove=False)
    store.release("c1", remove=True)
    assert {volume.name for volume in store.all()} == {shared.name, "data"}
    store.release("c2", remove=False)
    assert {volume.name for volume in store.all()} == {shared.name, "data"}
    assert store.users() == {}


@pytest.mark.parametrize("remove", [True, False])
def test_what_a_container_used_that_is_gone_is_collected(
    store: VolumeStore, container: Container, *, remove: bool
) -> None:
    directory = container("c1")
    volume, named = store.ensure("", {}, {}), store.ensure("data", {}, {})
    store.use(volume, "c1", remove=remove)
    store.use(named, "c1", remove=remove)
    store.collect()
    assert store.users()[volume.name] == ("c1",)
    directory.rmdir()
    store.collect()
    assert store.all() == ([named] if remove else sorted([named, volume], key=lambda each: each.name))


def test_leftovers_of_a_removal_are_collected(tmp_path: Path, store: VolumeStore) -> None:
    (tmp_path / "volumes" / ".0123" / "_data").mkdir(parents=True)
    store.collect()
    assert list((tmp_path / "volumes").iterdir()) == []


def test_many_threads_make_one_volume(store: VolumeStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: store.ensure("data", {}, {}), range(16)))
    assert set(map(str, made)) == {"data"}
    assert len({volume.created_ns for volume in made}) == 1


def test_prune(tmp_path: Path, database: Database, store: VolumeStore, container: Container) -> None:
    volumes = Volumes(tmp_path, database)
    container("c1")
    unnamed, used = store.ensure("", {"a": "1"}, {}), store.ensure("", {}, {})
    store.use(used, "c1", remove=False)
    store.ensure("data", {}, {})
    (unnamed.mountpoint / "f").write_bytes(b"x" * 100)
    assert volumes.prune(Selection(labels=(Label("b"),))).lines == ()
    assert volumes.prune().lines == (unnamed.name,)
    assert volumes.prune(all=True).lines == ("data",)
    assert [use.volume for use in volumes.ls()] == [used]


def test_a_lost_row_and_a_lost_directory_are_faults_that_are_mended(tmp_path: Path, database: Database) -> None:
    volumes = Volumes(tmp_path, database)
    volumes.create("gone").mountpoint.rmdir()
    stray = tmp_path / "volumes" / "stray" / "_data"
    stray.mkdir(parents=True)
    (stray / "f").touch()
    faults = volumes.faults()
    assert [(fault.kind, fault.name) for fault in faults] == [("volume", "stray"), ("volume", "gone")]
    assert volumes.mend(faults) == ()
    assert (volumes.get("stray").mountpoint / "f").exists()
    assert volumes.get("gone").mountpoint.is_dir()
