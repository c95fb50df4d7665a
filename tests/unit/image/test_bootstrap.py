from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dockmagic.database import Database
from dockmagic.errors import BuildError, Unsupported
from dockmagic.image.bootstrap import LABEL, bootstrap_busybox
from dockmagic.image.platform import host_platform
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.oci.reference import Reference


class Bench(NamedTuple):
    store: ImageStore
    snapshots: Snapshots


def bench_in(root: Path) -> tuple[Bench, Database]:
    database = Database(root / "state.db")
    store = ImageStore(root, database)
    return Bench(store, Snapshots(root, database, store, store.workspaces)), database


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench, database = bench_in(tmp_path / "root")
    yield bench
    database.close()
    assert list((tmp_path / "root/tmp").iterdir()) == []


def script(directory: Path, name: str, text: str) -> None:
    """A program in a directory that serves as PATH."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_image_is_labelled_and_for_this_machine(bench: Bench) -> None:
    image = bootstrap_busybox(*bench)
    assert image.references == (Reference.parse("busybox:latest"),)
    config = image.config
    assert config.config.cmd == ("sh",)
    assert config.config.labels[LABEL].startswith("busybox-static 1")
    assert (config.os, config.architecture) == ("linux", host_platform().architecture)
    assert config.history[0].comment == "made locally, not pulled"
    assert config.created == "1970-01-01T00:00:00Z"


def test_the_same_busybox_gives_the_same_image(bench: Bench, tmp_path: Path) -> None:
    first = bootstrap_busybox(*bench)
    assert bootstrap_busybox(*bench) == first
    other, database = bench_in(tmp_path / "other")
    again = bootstrap_busybox(*other)
    database.close()
    assert (again.id, again.manifest_digest) == (first.id, first.manifest_digest)


def test_the_applets_are_there(bench: Bench) -> None:
    image = bootstrap_busybox(*bench)
    root = bench.snapshots.path(image.chain_ids[-1])
    assert (root / "bin/sh").samefile(root / "bin/busybox")
    assert {"[", "ps", "hostname", "id", "env", "sleep"} <= {path.name for path in (root / "bin").iterdir()}
    assert (root / "etc/passwd").read_text().startswith("root:x:0:0:")


def test_without_busybox_and_apt_the_way_out_is_named(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="put a static busybox into PATH, or pull"):
        bootstrap_busybox(*bench, path=str(tmp_path))
    assert bench.store.list_images() == []


def test_a_dynamic_busybox_does_not_count(bench: Bench, tmp_path: Path) -> None:
    sh = shutil.which("sh")
    assert sh is not None
    shutil.copy(sh, tmp_path / "busybox")
    with pytest.raises(Unsupported):
        bootstrap_busybox(*bench, path=str(tmp_path))


def test_a_failing_apt_is_shown_with_its_last_words(bench: Bench, tmp_path: Path) -> None:
    script(tmp_path, "apt-get", "echo 'E: Unable to locate package'; exit 100")
    script(tmp_path, "dpkg-deb", "exit 0")
    lines: list[str] = []
    with pytest.raises(BuildError, match=r"apt-get ended with status 100:\n  E: Unable to locate package"):
        bootstrap_busybox(*bench, path=str(tmp_path), on_line=lines.append)
    assert "fetching package lists" in lines


def test_a_package_without_busybox_is_refused(bench: Bench, tmp_path: Path) -> None:
    script(tmp_path, "apt-get", "echo > busybox-static_1_all.deb")
    script(tmp_path, "dpkg-deb", "mkdir unpacked")
    with pytest.raises(BuildError, match=r"busybox-static_1_all\.deb holds no static busybox"):
        bootstrap_busybox(*bench, path=f"{tmp_path}")


def test_the_package_s_busybox_is_used_where_the_host_has_none(bench: Bench, tmp_path: Path) -> None:
    busybox = shutil.which("busybox")
    script(tmp_path, "apt-get", "/bin/touch busybox-static_1_all.deb")
    script(tmp_path, "dpkg-deb", f"/bin/mkdir -p unpacked/usr/bin; /bin/cp {busybox} unpacked/usr/bin/")
    assert bootstrap_busybox(*bench, path=str(tmp_path)).id == bootstrap_busybox(*bench).id
