"""Every test here is looked after: it may leave nothing on the machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.oci_bundles import Oci


@pytest.fixture(autouse=True)
def _looked_after(nothing_left: None) -> None:
    """Fail a test that leaves something behind."""


@pytest.fixture(scope="session")
def oci_rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system to be copied into bundles."""
    from tests.integration.oci_bundles import make_rootfs

    return make_rootfs(tmp_path_factory.mktemp("oci") / "rootfs")


@pytest.fixture
def oci(tmp_path: Path, oci_rootfs: Path) -> Iterator[Oci]:
    """An OCI runtime and a bundle; containers that are left are deleted."""
    from tests.integration.oci_bundles import Oci

    oci = Oci(tmp_path)
    shutil.copytree(oci_rootfs, oci.rootfs, symlinks=True)
    yield oci
    for container_id in oci.do("list", "--quiet").split():
        oci.do("delete", "--force", container_id)
