from __future__ import annotations

import os
from pathlib import Path

from dockmagic.builder.attributes import Attributes, Owner, apply, attributes_of
from dockmagic.builder.tree import Tree


def test_what_is_read_of_one_file_can_be_given_to_another(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.touch()
    two.touch()
    one.chmod(0o4751)
    os.setxattr(one, "user.b", b"2")
    os.setxattr(one, "user.a", b"1")
    os.setxattr(one, "user.overlay.origin", b"own")
    os.utime(one, ns=(1, 1_234_567_891))
    tree = Tree((tmp_path,))
    first = tree.find("one")
    assert first is not None
    kept = attributes_of(first)
    assert kept == Attributes(
        0o4751, Owner(os.geteuid(), os.getegid()), 1_234_567_891, {"user.a": b"1", "user.b": b"2"}
    )
    apply(two, kept)
    second = tree.find("two")
    assert second is not None
    assert attributes_of(second) == kept


def test_a_link_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "target").touch(0o600)
    link = tmp_path / "link"
    link.symlink_to("target")
    apply(link, Attributes(0o777, Owner(os.geteuid(), os.getegid()), 3_000_000_000), link=True)
    assert link.lstat().st_mtime == 3
    assert (tmp_path / "target").stat().st_mtime != 3
