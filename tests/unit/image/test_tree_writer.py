from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from tarfile import CHRTYPE, DIRTYPE, FIFOTYPE, LNKTYPE, REGTYPE, SYMTYPE

import pytest

from dockmagic.image import overlay
from dockmagic.image.tar_header import Entry
from dockmagic.image.tree_writer import TreeWriter, split


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def tree(root: Path) -> Iterator[TreeWriter]:
    with TreeWriter(root) as writer:
        yield writer


def _create(tree: TreeWriter, name: str, kind: bytes = REGTYPE, linkname: str = "", content: bytes = b"") -> None:
    entry = Entry(os.fsencode(name), kind, 0o644, os.geteuid(), os.getegid(), len(content))
    entry.linkname = os.fsencode(linkname)
    tree.create(entry, split(entry.name), lambda fd: _write(fd, content))


def _write(fd: int, content: bytes) -> None:
    os.write(fd, content)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (b"a", [b"a"]),
        (b"./a//b/./c/", [b"a", b"b", b"c"]),
        (b"/a", [b"a"]),
        (b"///a/..", []),
        (b"a/../b", [b"b"]),
        (b"a/b/../../c", [b"c"]),
        (b"..a/b..", [b"..a", b"b.."]),
        (b".", []),
        (b"", []),
    ],
)
def test_parts_of_a_path(name: bytes, parts: list[bytes]) -> None:
    assert split(name) == parts


@pytest.mark.parametrize("name", [b"..", b"../a", b"/../a", b"a/../../b", b"./..", b"a/b/../../../c"])
def test_paths_that_lead_out(name: bytes) -> None:
    with pytest.raises(ValueError, match="out of"):
        split(name)


def test_kinds(root: Path, tree: TreeWriter) -> None:
    _create(tree, "a/file", content=b"content")
    _create(tree, "a/link", SYMTYPE, "anywhere/at/all")
    _create(tree, "a/hard", LNKTYPE, "a/file")
    _create(tree, "fifo", FIFOTYPE)
    _create(tree, "d", DIRTYPE)
    assert (root / "a/file").read_bytes() == b"content"
    assert os.fspath((root / "a/link").readlink()) == "anywhere/at/all"
    assert (root / "a/hard").samefile(root / "a/file")
    assert (root / "fifo").is_fifo()
    assert (root / "d").is_dir()


@pytest.mark.parametrize("first", [REGTYPE, SYMTYPE, FIFOTYPE, DIRTYPE, LNKTYPE])
@pytest.mark.parametrize("second", [REGTYPE, SYMTYPE, FIFOTYPE, DIRTYPE, LNKTYPE])
def test_the_later_entry_wins(first: bytes, second: bytes, root: Path, tree: TreeWriter) -> None:
    _create(tree, "target", content=b"target")
    (root.parent / "outside").write_bytes(b"outside")
    for kind in (first, second):
        link = "../outside" if kind == SYMTYPE else "target"
        _create(tree, "name", kind, link, content=b"new" if kind == REGTYPE else b"")
    kinds = {REGTYPE: stat.S_IFREG, SYMTYPE: stat.S_IFLNK, FIFOTYPE: stat.S_IFIFO, DIRTYPE: stat.S_IFDIR}
    assert stat.S_IFMT((root / "name").lstat().st_mode) == kinds.get(second, stat.S_IFREG)
    assert (root / "target").read_bytes() == b"target", "a hard link is replaced, not written to"
    assert (root.parent / "outside").read_bytes() == b"outside"


def test_a_file_replaces_a_whole_directory(root: Path, tree: TreeWriter) -> None:
    _create(tree, "d/e/f", content=b"1")
    _create(tree, "d", content=b"2")
    assert (root / "d").read_bytes() == b"2"


def test_directories_are_merged(root: Path, tree: TreeWriter) -> None:
    _create(tree, "d/e", content=b"1")
    _create(tree, "d", DIRTYPE)
    assert (root / "d/e").read_bytes() == b"1"


def test_a_hard_link_to_a_symlink_is_a_second_symlink(root: Path, tree: TreeWriter) -> None:
    _create(tree, "s", SYMTYPE, "/etc/passwd")
    _create(tree, "t", LNKTYPE, "s")
    assert (root / "t").lstat().st_ino == (root / "s").lstat().st_ino


@pytest.mark.parametrize("target", ["missing", "d", "", "/", "gone", "a/b"])
def test_hard_links_to_what_is_no_file(target: str, tree: TreeWriter) -> None:
    _create(tree, "d", DIRTYPE)
    tree.whiteout([b"gone"])
    with pytest.raises(ValueError, match="no file of this layer"):
        _create(tree, "x", LNKTYPE, target)


def test_a_hard_link_to_itself(root: Path, tree: TreeWriter) -> None:
    _create(tree, "x", content=b"content")
    with pytest.raises(ValueError, match="itself"):
        _create(tree, "x", LNKTYPE, "./x")
    assert (root / "x").read_bytes() == b"content"


def test_a_device_that_would_be_a_whiteout(root: Path, tree: TreeWriter) -> None:
    with pytest.raises(ValueError, match="whiteout"):
        _create(tree, "x", CHRTYPE)
    assert not (root / "x").exists()


def test_only_a_directory_can_be_the_root(tree: TreeWriter) -> None:
    with pytest.raises(ValueError, match="root"):
        _create(tree, "./", SYMTYPE, "/")


def test_whiteouts_leave_what_this_layer_has(root: Path, tree: TreeWriter) -> None:
    _create(tree, "file", content=b"content")
    tree.whiteout([b"file"])
    tree.whiteout([b"d", b"gone"])
    tree.whiteout([b"d", b"gone"])
    assert (root / "file").read_bytes() == b"content"
    assert overlay.is_whiteout((root / "d/gone").lstat())


def test_what_comes_after_a_whiteout_takes_its_place(root: Path, tree: TreeWriter) -> None:
    tree.whiteout([b"file"])
    _create(tree, "file", content=b"content")
    assert (root / "file").read_bytes() == b"content"


def test_opaque_directories(root: Path, tree: TreeWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    opaque: list[str] = []
    monkeypatch.setattr(overlay, "make_opaque", lambda fd: opaque.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    _create(tree, "here/file")
    tree.opaque([b"new", b"dir"])
    tree.opaque([])
    tree.whiteout([b"here"])
    assert opaque == [str(root / "new/dir"), str(root), str(root / "here")]


def test_files_get_their_owner_where_the_root_gives_another_group(root: Path) -> None:
    root.chmod(0o2755)
    with TreeWriter(root) as tree:
        _create(tree, "d/file")
        tree.finish()
    assert (root / "d/file").stat().st_gid == os.getegid()
    assert not (root / "d").stat().st_mode & stat.S_ISGID
