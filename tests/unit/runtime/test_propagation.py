from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.oci.spec import Mount
from dockmagic.runtime.propagation import check

MOUNTINFO = r"""
20 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
21 20 8:2 / /shared rw,relatime shared:7 - ext4 /dev/sda2 rw
22 20 8:3 / /slave rw,relatime master:7 - ext4 /dev/sda3 rw
23 21 8:4 / /shared/pri\040vate rw,relatime - ext4 /dev/sda4 rw
24 20 8:5 / /twice rw,relatime shared:9 - ext4 /dev/sda5 rw
25 24 8:6 / /twice rw,relatime - ext4 /dev/sda6 rw
""".lstrip()


@pytest.fixture
def mountinfo(tmp_path: Path) -> str:
    """A host's mounts."""
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTINFO)
    return str(path)


@pytest.mark.parametrize(
    ("source", "propagation"),
    [
        ("/shared/x", "rshared"),
        ("/shared", "slave"),
        ("/slave/x", "rslave"),
        ("/x", "rprivate"),
        ("/sharedx", "private"),
    ],
)
def test_what_can_be(mountinfo: str, source: str, propagation: str) -> None:
    check(Mount("/d", "bind", source, ("rbind", propagation)), mountinfo)


@pytest.mark.parametrize(
    ("source", "propagation", "message"),
    [
        ("/x", "rshared", "path /x is mounted on / but it is not a shared mount"),
        ("/slave/x", "shared", "mounted on /slave but it is not a shared mount"),
        ("/x", "rslave", "path /x is mounted on / but it is not a shared or slave mount"),
        ("/shared/pri vate", "shared", "mounted on /shared/pri vate but"),
        ("/sharedx", "shared", "mounted on / but"),
        ("/twice", "slave", "mounted on /twice but"),
    ],
)
def test_what_cannot_be(mountinfo: str, source: str, propagation: str, message: str) -> None:
    with pytest.raises(OSError, match=message):
        check(Mount("/d", "bind", source, ("rbind", propagation)), mountinfo)
