from __future__ import annotations

import os
import socket
from pathlib import Path
from tarfile import DIRTYPE, FIFOTYPE, LNKTYPE, REGTYPE, SYMTYPE

import pytest

from dockmagic.image import overlay
from dockmagic.image.tar_header import Entry
from dockmagic.image.tree_reader import NO_CONTENT, read_file, read_tree


def _entries(root: Path) -> list[Entry]:
    return [entry for entry, _ in read_tree(root)]


def test_directories_come_before_what_they_hold_and_names_are_sorted(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a-", "a/c/d", "Z"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    names = [entry.name for entry in _entries(tmp_path)]
    assert names == [b"", b"Z", b"a-", b"b", b"a", b"a/z", b"a/c", b"a/c/d"]


def test_a_file_that_was_swapped_for_something_else_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "name")
    (tmp_path / "file").touch()
    regular = (tmp_path / "file").stat()
    directory = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(os, "stat", lambda *args, **options: regular)
    with pytest.raises(FileNotFoundError):
        list(read_file(directory, b"name", b"name", {}))
    monkeypatch.undo()
    os.close(directory)


def test_what_an_entry_says(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    os.setxattr(path, "user.note", b"\0")
    path.chmod(0o4711)
    os.utime(path, ns=(0, 123_456_789))
    ((_, _), (entry, _)) = read_tree(tmp_path)
    assert entry == Entry(
        b"file",
        REGTYPE,
        0o4711,
        os.geteuid(),
        os.getegid(),
        7,
        123_456_789,
        xattrs={"user.note": b"\0"},
        stored=7,
    )


def test_contents_are_open_while_it_is_their_turn(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first")
    (tmp_path / "b").write_bytes(b"second")
    contents = [os.read(fd, 100) for _, fd in read_tree(tmp_path) if fd != NO_CONTENT]
    assert contents == [b"first", b"second"]


def test_kinds(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("directory")
    found = {entry.name: (entry.kind, entry.linkname) for entry in _entries(tmp_path)[1:]}
    assert found == {b"directory": (DIRTYPE, b""), b"fifo": (FIFOTYPE, b""), b"link": (SYMTYPE, b"directory")}


def test_further_names_are_hard_links_to_the_first(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/first-made").write_bytes(b"content")
    (tmp_path / "x").hardlink_to(tmp_path / "d/first-made")
    (tmp_path / "s").symlink_to("target")
    os.link(tmp_path / "s", tmp_path / "t", follow_symlinks=False)
    found = [(entry.name, entry.kind, entry.linkname) for entry in _entries(tmp_path)]
    assert (b"x", REGTYPE, b"") in found
    assert (b"d/first-made", LNKTYPE, b"x") in found
    assert (b"t", LNKTYPE, b"s") in found


def test_whiteouts_are_one_inode_and_no_links(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    overlay.make_whiteout(b"a", fd)
    os.close(fd)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert [entry.kind for entry in _entries(tmp_path)[1:]] == [b"3", b"3"]


def test_sockets_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # their names are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        Path("other").hardlink_to("socket")
        assert [entry.name for entry in _entries(tmp_path)] == [b""]


def test_nothing_stays_open(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").touch()
    before = set(Path("/proc/self/fd").iterdir())
    for stop in range(1, 4):
        files = read_tree(tmp_path)
        for _ in range(stop):
            next(files)
        files.close()
    assert len(set(Path("/proc/self/fd").iterdir())) == len(before)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xfe\n"
    with open(path, "wb"):  # noqa: PTH123  # a Path can't hold these bytes
        pass
    assert [entry.name for entry in _entries(tmp_path)] == [b"", b"\xff\xfe\n"]
