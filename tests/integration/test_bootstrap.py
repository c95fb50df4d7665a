"""Base images made on this host, with the real tools."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dockmagic.image.bootstrap import LABEL, bootstrap_busybox
from dockmagic.image.bootstrap_debian import bootstrap_debian
from dockmagic.oci.reference import Reference
from tests.integration.registry_fixture import StateRoot, state_root


@pytest.fixture
def root(tmp_path: Path) -> Iterator[StateRoot]:
    with state_root(tmp_path / "root") as root:
        yield root


def tools_only(directory: Path) -> str:
    """A PATH with what apt needs, and without a busybox."""
    directory.mkdir()
    for name in ("apt-get", "dpkg-deb"):
        (directory / name).symlink_to(f"/usr/bin/{name}")
    return str(directory)


def in_root(tree: Path, *command: str) -> str:
    """What a command prints with the tree as its root directory."""
    whole = ["/usr/sbin/chroot", str(tree), *command]
    environment = {"PATH": "/usr/sbin:/usr/bin:/bin"}
    return subprocess.run(whole, check=True, capture_output=True, text=True, env=environment).stdout


@pytest.mark.root
def test_busybox_runs_in_its_own_root(root: StateRoot) -> None:
    image = bootstrap_busybox(root.store, root.snapshots)
    tree = root.snapshots.path(image.chain_ids[0])
    script = "id -un; busybox ls -l / | head -3 | wc -l; env true && echo ok"
    done = in_root(tree, "/bin/sh", "-c", script)
    assert done.split() == ["root", "3", "ok"]


@pytest.mark.root
def test_busybox_has_its_applets_and_its_label(root: StateRoot) -> None:
    image = bootstrap_busybox(root.store, root.snapshots)
    assert image.references == (Reference.parse("busybox:latest"),)
    assert image.config.config.labels[LABEL].startswith("busybox-static 1")
    tree = root.snapshots.path(image.chain_ids[0])
    assert (tree / "bin/sh").samefile(tree / "bin/busybox")
    assert {"[", "ps", "hostname", "id", "env", "sleep"} <= {path.name for path in (tree / "bin").iterdir()}
    assert (tree / "etc/passwd").read_text().startswith("root:x:0:0:")
    assert ((tree / "var/www").stat().st_uid, (tree / "tmp").stat().st_mode & 0o7777) == (33, 0o1777)


@pytest.mark.root
def test_the_same_busybox_gives_the_same_image(root: StateRoot, tmp_path: Path) -> None:
    first = bootstrap_busybox(root.store, root.snapshots)
    assert bootstrap_busybox(root.store, root.snapshots) == first
    with state_root(tmp_path / "other") as other:
        again = bootstrap_busybox(other.store, other.snapshots)
    assert (again.id, again.manifest_digest) == (first.id, first.manifest_digest)


@pytest.mark.root
@pytest.mark.network
def test_busybox_comes_from_debian_where_the_host_has_none(root: StateRoot, tmp_path: Path) -> None:
    lines: list[str] = []
    image = bootstrap_busybox(root.store, root.snapshots, path=tools_only(tmp_path / "bin"), on_line=lines.append)
    assert image.config.config.labels[LABEL].startswith("busybox-static 1:")
    assert any("/unpacked/" in line for line in lines)


@pytest.mark.root
@pytest.mark.network
@pytest.mark.timeout(600)
@pytest.mark.parametrize("moment", ["Retrieving", "Unpacking required"])
def test_an_interrupted_debian_leaves_nothing(root: StateRoot, moment: str) -> None:
    def interrupt(line: str) -> None:
        if moment in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bootstrap_debian(root.store, root.snapshots, on_line=interrupt)
    assert root.leftovers() == []
    assert root.store.list_images() == []
    assert str(root.path) not in Path("/proc/self/mountinfo").read_text()
    assert not any(str(root.path) in os.fsdecode(path.read_bytes()) for path in Path("/proc").glob("[0-9]*/cmdline"))


@pytest.mark.root
@pytest.mark.network
@pytest.mark.timeout(600)
def test_debian_is_made_reproducibly_and_works(tmp_path: Path) -> None:
    def make(name: str) -> tuple[str, str]:
        with state_root(tmp_path / name) as root:
            image = bootstrap_debian(root.store, root.snapshots)
            assert set(image.references) == {Reference.parse("debian"), Reference.parse("debian:bookworm")}
            tree = root.snapshots.path(image.chain_ids[0])
            assert not (tree / "etc/hostname").exists()
            assert list((tree / "dev").iterdir()) == []
            script = "apt-get --version >/dev/null && . /etc/os-release && echo $ID"
            assert in_root(tree, "/bin/bash", "-c", script) == "debian\n"
            return image.id, image.manifest_digest

    with ThreadPoolExecutor(2) as pool:  # it takes a minute
        first, second = pool.map(make, ("first", "second"))
    assert first == second
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
