from __future__ import annotations

from dataclasses import replace

import pytest

from dockmagic.linux import mount as m
from dockmagic.oci import defaults
from dockmagic.oci.spec import Linux, Mount, Overlay, Process, Root, Spec
from dockmagic.runtime import rootfs
from dockmagic.runtime.rootfs import CgroupMount, FileSystem, Link, Mask, Node, ReadOnly

SPEC = Spec(
    Process(("true",)),
    Root(overlay=Overlay(("/l",), "/u", "/w")),
    mounts=(*defaults.mounts(64 << 20), Mount("/etc/hosts", "bind", "/run/hosts", ("rbind", "ro"))),
    linux=Linux(devices=defaults.DEVICES, masked_paths=defaults.MASKED_PATHS, readonly_paths=defaults.READONLY_PATHS),
)


def test_trees_are_made_dev_first_since_masks_need_its_null() -> None:
    trees = rootfs.staged(SPEC, ())
    assert list(trees) == ["/dev", "/proc", "/sys"]
    assert trees["/proc"][0] == FileSystem("/proc", "proc", "proc", m.MS_NOSUID | m.MS_NOEXEC | m.MS_NODEV, "")
    assert Mask("/proc/keys") in trees["/proc"]
    assert ReadOnly("/proc/sys") in trees["/proc"]
    assert Node("/dev/null", 0o20666, 0x103) in trees["/dev"]
    assert Link("/dev/ptmx", "pts/ptmx") in trees["/dev"]
    assert Mask("/sys/firmware") in trees["/sys"]


def test_parents_are_mounted_before_their_children() -> None:
    targets = [op.target for op in rootfs.staged(SPEC, ())["/dev"] if isinstance(op, FileSystem)]
    assert targets.index("/dev") < targets.index("/dev/pts")
    assert targets.index("/dev") < targets.index("/dev/shm")


def test_a_unified_hierarchy_is_one_mount() -> None:
    cgroups = [op for op in rootfs.staged(SPEC, (CgroupMount("", "cgroup2", ""),))["/sys"] if "cgroup" in op.target]
    flags = m.MS_NOSUID | m.MS_NOEXEC | m.MS_NODEV | m.MS_RDONLY
    assert cgroups == [FileSystem("/sys/fs/cgroup", "cgroup2", "cgroup", flags, "")]


def test_legacy_hierarchies_are_a_directory_that_is_read_only_last() -> None:
    wanted = (CgroupMount("memory", "cgroup", "memory"), CgroupMount("cpu,cpuacct", "cgroup", "cpu,cpuacct"))
    operations = [op for op in rootfs.staged(SPEC, wanted)["/sys"] if isinstance(op, FileSystem)]
    cgroups = [op for op in operations if "cgroup" in op.target]
    assert [(op.target, op.type) for op in cgroups] == [
        ("/sys/fs/cgroup", "tmpfs"),
        ("/sys/fs/cgroup/memory", "cgroup"),
        ("/sys/fs/cgroup/cpu,cpuacct", "cgroup"),
        ("/sys/fs/cgroup", ""),
    ]
    assert not cgroups[0].flags & m.MS_RDONLY
    assert cgroups[-1].flags & m.MS_RDONLY
    assert cgroups[-1].flags & m.MS_REMOUNT


def test_what_shows_the_host_is_attached_later() -> None:
    assert [mount.destination for mount in rootfs.attached(SPEC)] == ["/etc/hosts"]
    over_dev = replace(SPEC, mounts=(*SPEC.mounts, Mount("/dev/fuse", "bind", "/dev/fuse", ("rbind",))))
    assert [mount.destination for mount in rootfs.attached(over_dev)] == ["/etc/hosts", "/dev/fuse"]
    assert [mount.source for mount in rootfs.sources(over_dev)] == ["/run/hosts", "/dev/fuse"]


def test_a_root_that_is_a_directory_is_the_first_source() -> None:
    plain = replace(SPEC, root=Root("/srv/root"))
    assert [mount.source for mount in rootfs.sources(plain)] == ["/srv/root", "/run/hosts"]


@pytest.mark.parametrize(
    ("path", "tree"), [("/proc", "/proc"), ("/proc/sys", "/proc"), ("/process", ""), ("/", ""), ("/sys/fs", "/sys")]
)
def test_trees_of_paths(path: str, tree: str) -> None:
    assert rootfs.tree_of(path) == tree


def test_options_are_flags_and_data() -> None:
    assert rootfs.split_options(("rw", "nosuid", "mode=1777", "size=1m", "rprivate", "rbind")) == (
        m.MS_NOSUID,
        "mode=1777,size=1m",
    )


def test_what_is_put_together_is_attached_wherever_it_is_and_asks_nothing_of_the_host() -> None:
    layers = Mount("/dev/layers", "overlay", "overlay", ("ro",), Overlay(("/l",), "/u", "/w"))
    file = Mount("/run/secrets/x", "tmpfs", "tmpfs", content="")
    spec = replace(SPEC, mounts=(*SPEC.mounts, layers, file))
    assert rootfs.attached(spec)[-2:] == (layers, file)
    assert rootfs.sources(spec) == rootfs.sources(SPEC)
    assert rootfs.staged(spec, ()) == rootfs.staged(SPEC, ())


def test_a_directory_that_cannot_be_made_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        rootfs.make_directory("/proc/none/below")
