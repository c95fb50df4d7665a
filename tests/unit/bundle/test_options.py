"""Mount options sorted by what they ask of the kernel."""

from __future__ import annotations

from dockmagic.bundle.options import names, parse
from dockmagic.linux import mount as m


def test_flags_go_on_and_off_in_order() -> None:
    assert parse(("ro", "nosuid", "rw")).flags == m.MS_NOSUID
    assert parse(("noexec", "exec", "defaults")).flags == 0


def test_what_is_left_is_the_file_systems_own() -> None:
    found = parse(("size=1k", "rbind", "rslave", "private", "tmpcopyup"))
    assert found.data == ("size=1k",)
    assert found.words == {"rbind", "tmpcopyup"}
    assert found.propagation == (m.MS_SLAVE | m.MS_REC, m.MS_PRIVATE)


def test_a_binds_flags_are_attributes() -> None:
    on, off = parse(("ro", "noatime")).attributes
    assert on == m.MOUNT_ATTR_RDONLY | m.MOUNT_ATTR_NOATIME
    assert off == m.MOUNT_ATTR_ATIME


def test_attributes_for_all_below() -> None:
    found = parse(("rro", "rnosuid", "rrw"))
    assert found.recursive_set == m.MOUNT_ATTR_NOSUID
    assert found.recursive_clear == m.MOUNT_ATTR_RDONLY
    assert parse(("rstrictatime",)).recursive_set == m.MOUNT_ATTR_STRICTATIME


def test_all_are_listed_once() -> None:
    assert len(names()) == len(set(names()))
    assert {"ro", "rro", "rprivate", "tmpcopyup", "idmap"} <= set(names())
