from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockmagic.errors import InvalidLayer, StoreError
from dockmagic.image import layer, overlay, upper
from dockmagic.image.limits import Limits
from tests.unit.image.archives import END, archive, member, patched, pax_header, record

_OWNER = (os.geteuid(), os.getegid())


def _member(name: str | bytes, content: bytes = b"", **fields: object) -> bytes:
    """An entry that belongs to who runs the test."""
    return member(name, content, owner=_OWNER, **fields)  # type: ignore[arg-type]  # as the caller typed them


def _unpack(tree: Path, *members: bytes) -> Path:
    tree.mkdir(exist_ok=True)
    size_bytes = layer.unpack(archive(*members), tree)
    assert size_bytes == upper.size(tree)
    return tree


def _pack(tree: Path) -> bytes:
    out = io.BytesIO()
    layer.pack(tree, out)
    return out.getvalue()


def _names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        return opened.getnames()


# Names as file systems allow them: any byte but "/" and NUL, up to 255 of them.
_NAMES = (
    st.one_of(
        st.text("abc.-_ é%=\n", min_size=1, max_size=6).map(str.encode),
        st.binary(min_size=1, max_size=8),
        st.integers(90, 255).map(lambda length: b"n" * length),
    )
    .map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))
    .filter(lambda name: name not in (b".", b"..") and not name.startswith(b".wh."))
)
_TIMES = st.one_of(st.integers(0, 2**31), st.just(0), st.integers(-(2**30), 2**33)).flatmap(
    lambda seconds: st.sampled_from([0, 1, 500_000_000, 999_999_999]).map(lambda ns: seconds * 10**9 + ns)
)
_KINDS = st.sampled_from(["file", "file", "directory", "symlink", "hard link", "fifo", "whiteout"])


class _Planner:
    """Makes a tree of what hypothesis draws."""

    def __init__(self, root: Path, data: st.DataObject) -> None:
        self._root = os.fsencode(root)
        self._draw = data.draw
        self._directories = [self._root]
        self._files: list[bytes] = []

    def grow(self, count: int) -> None:
        """Add up to `count` files, then give all directories their times."""
        for _ in range(count):
            path = self._draw(st.sampled_from(self._directories)) + b"/" + self._draw(_NAMES)
            if not os.path.lexists(path):
                self._add(path, self._draw(_KINDS))
        for directory in reversed(self._directories[1:]):
            self._finish(directory)

    def _add(self, path: bytes, kind: str) -> None:
        if kind == "directory":
            os.mkdir(path)  # noqa: PTH102  # a Path can't hold these bytes
            self._directories.append(path)
        elif kind == "symlink":
            os.symlink(self._draw(_NAMES) * self._draw(st.integers(1, 3)), path)  # noqa: PTH211
            os.utime(path, ns=(0, self._draw(_TIMES)), follow_symlinks=False)
        elif kind == "hard link" and self._files:
            os.link(self._draw(st.sampled_from(self._files)), path)
        elif kind == "fifo":
            os.mkfifo(path)
            self._finish(path)
        elif kind == "whiteout":
            os.mknod(path, stat.S_IFCHR, overlay.WHITEOUT_DEVICE)
        else:
            self._write(path)

    def _write(self, path: bytes) -> None:
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(self._draw(st.binary(max_size=2000)))
        if self._draw(st.booleans()):
            os.setxattr(path, "user.%=é", self._draw(st.binary(max_size=100)))
        self._finish(path)
        self._files.append(path)

    def _finish(self, path: bytes) -> None:
        os.chmod(path, self._draw(st.integers(0, 0o7777)) | 0o700)  # noqa: PTH101
        os.utime(path, ns=(0, self._draw(_TIMES)))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), count=st.integers(0, 14))
def test_a_tree_comes_back_as_it_was(data: st.DataObject, count: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("round")
    (base / "tree").mkdir()
    _Planner(base / "tree", data).grow(count)
    packed = _pack(base / "tree")
    (base / "copy").mkdir()
    layer.unpack(io.BytesIO(packed), base / "copy")
    assert _pack(base / "copy") == packed


def test_the_order_of_making_does_not_show(tmp_path: Path) -> None:
    archives = []
    for index, names in enumerate((["b", "a", "c/d"], ["c/d", "a", "b"])):
        tree = tmp_path / str(index)
        for name in names:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(name)
            os.utime(tree / name, (1, 1))
        os.utime(tree / "c", (1, 1))
        archives.append(_pack(tree))
    assert archives[0] == archives[1]


def test_an_empty_tree_is_only_an_end(tmp_path: Path) -> None:
    assert _pack(tmp_path) == END


def test_whiteouts_become_files_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("gone", "d/gone"):
        os.mknod(tmp_path / name, stat.S_IFCHR, overlay.WHITEOUT_DEVICE)
    assert _names(_pack(tmp_path)) == [".wh.gone", "d", "d/.wh.gone"]


def test_opaque_directories_get_a_mark_before_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/-first").touch()
    os.setxattr(tmp_path / "d", "user.overlay.opaque", b"y")
    os.setxattr(tmp_path, "user.overlay.opaque", b"y")
    data = _pack(tmp_path)
    assert _names(data) == [".wh..wh..opq", "d", "d/.wh..wh..opq", "d/-first"]
    assert b"overlay" not in data


@pytest.mark.parametrize("name", [".wh.x", ".wh..wh..opq", "d/.wh.x"])
def test_names_with_a_mark_cannot_be_packed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(InvalidLayer, match=name):
        _pack(tmp_path)


def test_files_that_are_in_another_layer_cannot_be_packed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    os.setxattr(tmp_path / "d", "user.overlay.redirect", b"/old")
    with pytest.raises(StoreError, match="redirect_dir=off"):
        _pack(tmp_path)


def test_holes_are_written_in_full(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(3_000_000)
    assert len(_pack(tmp_path)) > 3_000_000


def test_a_tree_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't pack"):
        _pack(tmp_path / "missing")


def test_a_full_disk_while_packing(tmp_path: Path) -> None:
    class Full:
        def write(self, data: bytes, /) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreError, match="No space left"):
        layer.pack(tmp_path, Full())


# What archives say is gone


def test_marks_become_whiteouts(tmp_path: Path) -> None:
    tree = _unpack(tmp_path / "t", _member(".wh.a"), _member("d/.wh.b"), _member("e.wh.f"))
    assert overlay.is_whiteout((tree / "a").lstat())
    assert overlay.is_whiteout((tree / "d/b").lstat())
    assert (tree / "e.wh.f").is_file()


@pytest.fixture
def opaque(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the directories that were made opaque, which takes root."""
    names: list[str] = []
    monkeypatch.setattr(overlay, "make_opaque", lambda fd: names.append(Path(f"/proc/self/fd/{fd}").readlink().name))
    return names


@pytest.mark.parametrize(
    "members",
    [
        [_member("d", kind=tarfile.DIRTYPE), _member("d/.wh..wh..opq")],
        [_member("d/.wh..wh..opq"), _member("d/a")],
        [_member("d/a"), _member("d/.wh..wh..opq")],
        [_member(".wh.d"), _member("d", kind=tarfile.DIRTYPE), _member("d/a")],
        [_member(".wh.d"), _member("d/a")],
        [_member("d/a"), _member(".wh.d")],
    ],
)
def test_a_new_directory_in_place_of_a_lower_one_is_opaque(
    members: list[bytes], opaque: list[str], tmp_path: Path
) -> None:
    tree = _unpack(tmp_path / "t", *members)
    assert set(opaque) == {"d"}
    assert [path.name for path in tree.iterdir()] == ["d"]
    assert not list((tree / "d").glob(".wh*"))


@pytest.mark.parametrize("name", [".wh..wh.plnk/1.2", ".wh..wh.aufs", ".wh..wh.orph/x/y", "d/.wh..wh.x"])
def test_what_aufs_left_is_ignored(name: str, tmp_path: Path) -> None:
    tree = _unpack(tmp_path / "t", _member(name), _member("a"))
    assert [path.name for path in tree.iterdir()] == ["a"]


def test_the_size_is_that_of_the_files_that_stay(tmp_path: Path) -> None:
    link = _member("link", kind=b"1", linkname="file")
    members = (_member("file", b"12345"), link, _member("other", b"123"), _member("other", b"12"), _member(".wh.gone"))
    assert upper.size(_unpack(tmp_path / "tree", *members)) == 7


def test_absolute_names_are_inside(tmp_path: Path) -> None:
    tree = _unpack(tmp_path / "t", _member("/etc/a"), _member("//b"), _member("./c"))
    assert sorted(path.name for path in tree.rglob("*")) == ["a", "b", "c", "etc"]


# Archives that mean harm. Each is either refused, or does all that it does inside the tree.


def _link(name: str, target: str) -> bytes:
    return _member(name, kind=tarfile.SYMTYPE, linkname=target)


def _hard(name: str, target: str) -> bytes:
    return _member(name, kind=tarfile.LNKTYPE, linkname=target)


def _xattr(name: str, value: bytes = b"y") -> bytes:
    return pax_header(record("SCHILY.xattr." + name, value))


_OUT = "../outside"
_REFUSED: dict[str, list[bytes]] = {
    "parent": [_member("../outside/new", b"evil")],
    "parent later": [_member("a/../../outside/new", b"evil")],
    "absolute parent": [_member("/../outside/new", b"evil")],
    "directory outside": [_member(_OUT, kind=tarfile.DIRTYPE, mode=0o777)],
    "symlink outside": [_link("../outside/new", "x")],
    "pax name": [pax_header(record("path", b"../outside/new")), _member("a", b"evil")],
    "gnu name": [member("../outside/" + "n" * 150, b"evil", form=tarfile.GNU_FORMAT)],
    "sparse name": [
        pax_header(record("GNU.sparse.size", b"4"), record("GNU.sparse.name", b"../outside/new")),
        _member("a"),
    ],
    "write through absolute symlink": [_link("l", "{outside}"), _member("l/new", b"evil")],
    "write through relative symlink": [_link("l", _OUT), _member("l/new", b"evil")],
    "write through a chain": [_link("a", "b"), _link("b", "{outside}"), _member("a/new", b"evil")],
    "write through link in directory": [_link("d/l", "../../outside"), _member("d/l/new", b"evil")],
    "directory through symlink": [_link("l", "{outside}"), _member("l/sub", kind=tarfile.DIRTYPE)],
    "whiteout through symlink": [_link("l", "{outside}"), _member("l/.wh.secret")],
    "opaque through symlink": [_link("l", "{outside}"), _member("l/.wh..wh..opq")],
    "circle": [_link("a", "b"), _link("b", "a"), _member("a/x")],
    "hard link out": [_hard("h", "../outside/secret")],
    "hard link absolute": [_hard("h", "{outside}/secret")],
    "hard link through symlink": [_link("l", "{outside}"), _hard("h", "l/secret")],
    "hard link to a directory": [_member("d", kind=tarfile.DIRTYPE), _hard("h", "d")],
    "hard link to nothing": [_hard("h", "")],
    "symlink to nothing": [_link("s", "")],
    "whiteout of parent": [_member("d/.wh...")],
    "whiteout of self": [_member("d/.wh..")],
    "whiteout of nothing": [_member(".wh.")],
    "directory with a mark": [_member(".wh.d/a")],
    "forged whiteout": [_member("w", kind=tarfile.CHRTYPE, device=(0, 0))],
    "forged opaque": [_xattr("trusted.overlay.opaque"), _member("d", kind=tarfile.DIRTYPE)],
    "forged redirect": [_xattr("trusted.overlay.redirect", b"/etc"), _member("d", kind=tarfile.DIRTYPE)],
    "NUL": [pax_header(record("path", b"a\0b")), _member("a")],
    "NUL in sparse name": [
        pax_header(record("GNU.sparse.size", b"0"), record("GNU.sparse.name", b"a\0b")),
        _member("a"),
    ],
    "negative size": [patched(_member("a"), 124, b"\xff" * 12)],
    "checksum": [_member("a"), b"\1" * 512],
    "long component": [pax_header(record("path", b"n" * 256)), _member("a")],
    "long path": [pax_header(record("path", b"/".join([b"n" * 200] * 30))), _member("a")],
    "deep": [pax_header(record("path", b"d/" * 3000 + b"x")), _member("a")],
    "deep by symlinks": [
        pax_header(record("path", b"d/" * 200 + b"x")),
        _member("a"),
        pax_header(record("linkpath", b"d/" * 200)),
        _link("l", "x"),
        pax_header(record("path", b"l/" + b"e/" * 200 + b"x")),
        _member("a"),
    ],
    "parent is a file": [_member("a"), _member("a/b")],
    "parent is a fifo": [_member("a", kind=tarfile.FIFOTYPE), _member("a/b")],
    "root as a symlink": [_link(".", "{outside}")],
    "root as a file": [_member("./", b"x")],
    "unknown kind": [patched(_member("a"), 156, b"V")],
    "huge hole": [pax_header(record("GNU.sparse.size", b"1" + b"0" * 18)), _member("a")],
}
_CONTAINED: dict[str, list[bytes]] = {
    "absolute": [_member("{outside}/new", b"harmless")],
    "symlink and the file in its place": [_link("f", "{outside}/secret"), _member("f", b"harmless")],
    "symlink and the directory in its place": [
        _link("d", "{outside}"),
        _member("d", kind=tarfile.DIRTYPE, mode=0o777),
        _member("d/new", b"harmless"),
    ],
    "directory and the symlink in its place": [
        _member("d", kind=tarfile.DIRTYPE, mode=0o777),
        _member("d/secret"),
        _link("d", "{outside}"),
    ],
    "hard link to a symlink, and the file in its place": [
        _link("s", "{outside}/secret"),
        _hard("h", "s"),
        _member("h", b"harmless"),
    ],
    "fifo in place of a symlink": [_link("f", "{outside}/secret"), _member("f", kind=tarfile.FIFOTYPE)],
    "whiteout of a symlink": [_link("d", "{outside}"), _member(".wh.d")],
    "symlink to proc": [_link("p", "/proc/self/fd"), _member("proc/self/fd/x", b"harmless"), _member("p/y")],
    "overlay's attribute for users": [_xattr("user.overlay.opaque"), _member("d", kind=tarfile.DIRTYPE)],
    "attribute of a symlink": [_xattr("user.a"), _link("l", "{outside}/secret")],
}


def _placed(members: Iterable[bytes], outside: Path) -> list[bytes]:
    """The members with the place of the directory outside filled in, and fitting checksums."""
    placed = []
    for blocks in members:
        if b"{outside}" in blocks:
            at = blocks.index(b"{outside}")
            end = blocks.index(b"\0", at)
            text = blocks[at:end].replace(b"{outside}", os.fsencode(outside))
            blocks = patched(blocks, at, text)
        placed.append(blocks)
    return placed


def _snapshot(directory: Path) -> list[tuple[object, ...]]:
    """What there is in a directory, times of change included."""
    paths = sorted([directory, *directory.rglob("*")])
    return [(path, path.lstat().st_mode, path.lstat().st_ctime_ns, path.lstat().st_nlink) for path in paths]


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a short path, which fits into a header's field; it has something worth protecting in it."""
    place = tmp_path_factory.mktemp("p")
    (place / "outside").mkdir(0o755)
    (place / "outside/secret").write_bytes(b"secret")
    (place / "tree").mkdir()
    return place


@pytest.mark.parametrize("name", _REFUSED)
def test_hostile_archives_are_refused(name: str, place: Path) -> None:
    before = _snapshot(place / "outside")
    siblings = sorted(place.iterdir())
    with pytest.raises(InvalidLayer) as caught:
        layer.unpack(archive(*_placed(_REFUSED[name], place / "outside")), place / "tree")
    assert _snapshot(place / "outside") == before
    assert sorted(place.iterdir()) == siblings
    assert str(caught.value)


@pytest.mark.parametrize("name", _CONTAINED)
def test_hostile_archives_are_contained(name: str, place: Path) -> None:
    before = _snapshot(place / "outside")
    layer.unpack(archive(*_placed(_CONTAINED[name], place / "outside")), place / "tree")
    assert _snapshot(place / "outside") == before


_CHANGES = st.lists(
    st.tuples(st.integers(0, 5000), st.one_of(st.integers(0, 255), st.sampled_from(b"\0\xff\x80/.0159 =\n12345KLSxg"))),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(members=st.sampled_from([*_CONTAINED.values(), *_REFUSED.values()]), changes=_CHANGES)
def test_damage_does_no_harm(
    members: list[bytes], changes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the bytes are, the archive is unpacked or refused, and nothing happens elsewhere."""
    place = tmp_path_factory.mktemp("d")
    (place / "tree").mkdir()
    data = bytearray(b"".join(members))
    for at, byte in changes:
        data[at % len(data)] = byte
    for start in range(0, len(data), 512):
        if data[start + 257 : start + 262] == b"ustar":
            data[start : start + 512] = patched(bytes(data[start : start + 512]), 257, b"ustar")
    with suppress(InvalidLayer):
        layer.unpack(io.BytesIO(data + END), place / "tree", limits=Limits(max_bytes=1 << 20))
    assert [path.name for path in place.iterdir()] == ["tree"]


@pytest.mark.parametrize(
    ("name", "entry"),
    [("parent", "../outside/new"), ("hard link out", "h"), ("forged whiteout", "w"), ("whiteout of nothing", ".wh.")],
)
def test_the_error_names_the_entry(name: str, entry: str, place: Path) -> None:
    with pytest.raises(InvalidLayer, match=f"'{entry}'"):
        layer.unpack(archive(*_REFUSED[name]), place / "tree")


@pytest.mark.parametrize("limits", [Limits(max_entries=2), Limits(max_bytes=25)])
def test_limits(limits: Limits, tmp_path: Path) -> None:
    layer.unpack(archive(_member("a", b"x" * 10), _member("b", b"x" * 10)), tmp_path, limits=limits)
    with pytest.raises(InvalidLayer, match="more than"):
        layer.unpack(archive(*(_member(str(index), b"x" * 10) for index in range(3))), tmp_path, limits=limits)


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, StoreError), (errno.EPERM, StoreError), (errno.EIO, StoreError), (errno.EINVAL, InvalidLayer)],
)
def test_who_is_to_blame(number: int, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fchmod", fail)
    with pytest.raises(error, match=f"'a'.*{os.strerror(number)}"):
        _unpack(tmp_path / "t", _member("a"))


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="missing"):
        layer.unpack(archive(), tmp_path / "missing")


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("parent later", "circle", "hard link to a directory", "whiteout through symlink", "checksum"):
        (tmp_path / name).mkdir()
        with pytest.raises(InvalidLayer):
            layer.unpack(archive(*_REFUSED[name]), tmp_path / name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
