from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from tarfile import FIFOTYPE, SYMTYPE

import pytest

from dockmagic.image import attributes
from dockmagic.image.tar_header import Entry

_NS = 1_234_567_890_123_456_789


def _entry(**fields: object) -> Entry:
    """An entry that belongs to who runs the test."""
    entry = Entry(b"name", mode=0o4751, uid=os.geteuid(), gid=os.getegid(), mtime_ns=_NS)
    for name, value in fields.items():
        setattr(entry, name, value)
    return entry


def test_a_mode_never_goes_through_a_link_in_a_fifos_place(tmp_path: Path) -> None:
    (tmp_path / "target").touch(mode=0o600)
    (tmp_path / "name").symlink_to("target")
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="symbolic links"):
            attributes.apply_by_name(directory, b"name", _entry(kind=FIFOTYPE))
    finally:
        os.close(directory)
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o600


def test_an_open_file_gets_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        attributes.apply(file.fileno(), _entry(xattrs={"user.note": b"\0\1"}))
    status = path.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o4751, _NS)
    assert attributes.read_xattrs(os.fsencode(path))["user.note"] == b"\0\1"


def test_files_that_cannot_be_opened_get_all_by_name(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch(0o600)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    os.mkfifo(tree / "fifo")
    fd = os.open(tree, os.O_RDONLY)
    try:
        attributes.apply_by_name(fd, b"link", _entry(kind=SYMTYPE, linkname=b"../outside"))
        attributes.apply_by_name(fd, b"fifo", _entry(kind=FIFOTYPE, xattrs={"user.note": b"1"}))
    finally:
        os.close(fd)
    assert (tree / "link").lstat().st_mtime_ns == (tree / "fifo").lstat().st_mtime_ns == _NS
    assert stat.S_IMODE((tree / "fifo").lstat().st_mode) == 0o4751
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600
    assert outside.stat().st_mtime_ns != _NS


def test_only_portable_attributes_are_carried() -> None:
    xattrs = dict.fromkeys(
        [
            "security.capability",
            "security.selinux",
            "security.ima",
            "system.posix_acl_access",
            "system.nfs4_acl",
            "trusted.overlay.opaque",
            "trusted.mine",
            "user.note",
            "user.overlay.origin",
        ],
        b"",
    )
    kept = {"security.capability", "system.posix_acl_access", "trusted.mine", "user.note"}
    assert set(attributes.carried(xattrs)) == kept


def test_attributes_that_are_not_carried_are_not_set(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        attributes.apply(file.fileno(), _entry(xattrs={"user.overlay.opaque": b"y", "user.note": b"1"}))
    assert "user.overlay.opaque" not in os.listxattr(path)


@pytest.mark.parametrize(("number", "raises"), [(errno.EOPNOTSUPP, False), (errno.EPERM, True)])
def test_attributes_the_file_system_lacks_are_left_out(
    number: int, raises: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "setxattr", refuse)
    with (tmp_path / "file").open("wb") as file:
        entry = _entry(xattrs={"user.note": b"1"})
        if raises:
            with pytest.raises(OSError, match=os.strerror(number)):
                attributes.apply(file.fileno(), entry)
        else:
            attributes.apply(file.fileno(), entry)


def test_a_file_system_without_attributes_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> list[str]:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "listxattr", refuse)
    assert attributes.read_xattrs(os.fsencode(tmp_path)) == {}
