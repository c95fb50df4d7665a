from __future__ import annotations

import errno
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("code", "matters"), [(errno.EPERM, False), (errno.ENOTSUP, False), (errno.ENOSPC, True)])
def test_attributes_that_a_file_cannot_have_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, matters: bool
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "setxattr", refuse)
    (tmp_path / "f").touch()
    with pytest.raises(OSError, match=os.strerror(code)) if matters else nullcontext():
        apply(tmp_path / "f", Attributes(0o600, Owner(os.geteuid(), os.getegid()), 1, {"user.x": b""}))


def test_a_file_system_without_attributes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "listxattr", refuse)
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").touch()
    found = Tree((tmp_path,)).find("d/f")
    assert found is not None
    assert attributes_of(found).xattrs == {}


def test_a_link_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "target").touch(0o600)
    link = tmp_path / "link"
    link.symlink_to("target")
    apply(link, Attributes(0o777, Owner(os.geteuid(), os.getegid()), 3_000_000_000), link=True)
    assert link.lstat().st_mtime == 3
    assert (tmp_path / "target").stat().st_mtime != 3
