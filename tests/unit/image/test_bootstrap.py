from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import BuildError, Unsupported
from dockmagic.image.bootstrap import base_config, bootstrap_busybox
from dockmagic.image.platform import host_platform
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.oci.digest import Digest

Bench = tuple[ImageStore, Snapshots]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    root = tmp_path / "root"
    database = Database(root / "state.db")
    store = ImageStore(root, database)
    yield store, Snapshots(root, database, store, store.workspaces)
    database.close()
    assert list((root / "tmp").iterdir()) == []


def script(directory: Path, name: str, text: str) -> None:
    """A program in a directory that serves as PATH."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_config_says_where_the_image_comes_from() -> None:
    digest = Digest.of(b"")
    config = base_config(digest, cmd=("sh",), origin="busybox-static 1.36", created="1970-01-01T00:00:00Z")
    assert config.config.labels == {"io.dockmagic.bootstrap": "busybox-static 1.36"}
    assert (config.os, config.architecture, config.diff_ids) == ("linux", host_platform().architecture, (digest,))
    assert config.config.cmd == ("sh",)
    assert config.history[0].comment == "made locally, not pulled"
    assert config.created == config.history[0].created == "1970-01-01T00:00:00Z"


def test_without_busybox_and_apt_the_way_out_is_named(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="put a static busybox into PATH, or pull"):
        bootstrap_busybox(*bench, path=str(tmp_path))
    assert bench[0].list_images() == []


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
