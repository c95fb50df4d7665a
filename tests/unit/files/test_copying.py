from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dockmagic.errors import InvalidLayer, InvalidOption, NotFound
from dockmagic.files.copying import copy, copy_from_stream, copy_to_stream
from dockmagic.files.place import Place
from dockmagic.image.limits import DEFAULT_LIMITS, Limits
from tests.unit.image.archives import END, member

ME = (os.geteuid(), os.getegid())


@pytest.fixture
def root(tmp_path: Path, inside: Place) -> Path:
    """The files of `inside`."""
    root = tmp_path / "inside"
    (root / "dir/sub").mkdir(parents=True)
    (root / "dir/a").write_text("a")
    (root / "dir/b").hardlink_to(root / "dir/a")
    (root / "dir/link").symlink_to("/etc/passwd")
    (root / "file").write_text("file")
    (root / "file").chmod(0o4750)
    os.utime(root / "file", ns=(0, 1_600_000_000_123_456_789))
    (root / "alias").symlink_to("dir")
    return root


@pytest.fixture
def target(tmp_path: Path, other: Place) -> Path:
    """The files of `other`."""
    return tmp_path / "other"


def archive(*members: bytes) -> bytes:
    """A whole archive."""
    return b"".join(members) + END


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_a_file_keeps_mode_time_and_name(root: Path, inside: Place, target: Path, other: Place) -> None:
    copied = copy(inside, "/file", other, "/", owner=ME)
    status = (target / "file").stat()
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o4750, 1_600_000_000_123_456_789)
    assert (copied.size_bytes, copied.target) == (4, "o:/")


def test_a_directory_with_its_links(root: Path, inside: Place, target: Path, other: Place) -> None:
    copy(inside, "/dir", other, "/new", owner=ME)
    assert names(target) == ["new", "new/a", "new/b", "new/link", "new/sub"]
    assert (target / "new/a").samefile(target / "new/b")
    assert (target / "new/link").readlink() == Path("/etc/passwd")


def test_only_the_contents(root: Path, inside: Place, target: Path, other: Place) -> None:
    copy(inside, "/dir/.", other, "/", owner=ME)
    assert names(target) == ["a", "b", "link", "sub"]


def test_links_are_copied_unless_they_are_followed(root: Path, inside: Place, target: Path, other: Place) -> None:
    copy(inside, "/alias", other, "/", owner=ME)
    assert (target / "alias").readlink() == Path("dir")
    copy(inside, "/alias", other, "/followed", owner=ME, follow=True)
    assert names(target / "followed") == ["a", "b", "link", "sub"]
    (target / "into").mkdir()
    copy(inside, "/alias/", other, "/into", owner=ME)
    assert (target / "into/alias/a").read_text() == "a"


def test_holes_stay_holes(root: Path, inside: Place, target: Path, other: Place) -> None:
    with (root / "sparse").open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"data")
    copy(inside, "/sparse", other, "/", owner=ME)
    status = (target / "sparse").stat()
    assert (status.st_size, status.st_blocks * 512 < 1 << 20) == (64 << 20, True)


@pytest.mark.parametrize(
    ("source", "to", "error", "message"),
    [
        ("/nothing", "/", NotFound, "no such file: c:/nothing"),
        ("/file", "/none/x", NotFound, "no such directory: o:/none; make it first"),
        ("/file", "/none/", InvalidOption, "o:/none/: there is no such directory"),
        ("/file", "/full", InvalidOption, "o:/full/file is a directory; a file can't take its place"),
        ("/dir", "/full", InvalidOption, "o:/full/dir is no directory; one can't take its place"),
        ("/dir", "/old", InvalidOption, "can't copy the directory /dir to o:/old"),
        ("/file", "/old/", InvalidOption, "o:/old/: there is no such directory"),
        ("/socket", "/", InvalidOption, "c:/socket is a socket"),
    ],
)
def test_what_cant_be_copied(
    root: Path,
    inside: Place,
    target: Path,
    other: Place,
    source: str,
    to: str,
    error: type[Exception],
    message: str,
) -> None:
    (target / "full/file").mkdir(parents=True)
    (target / "full/dir").write_text("a file")
    (target / "old").write_text("old")
    os.mknod(root / "socket", 0o140644)
    before = names(target)
    with pytest.raises(error, match=message):
        copy(inside, source, other, to, owner=ME)
    assert names(target) == before
    assert (target / "old").read_text() == "old"


def test_links_at_the_target(root: Path, inside: Place, target: Path, other: Place, tmp_path: Path) -> None:
    (target / "old").write_text("old")
    (target / "to-old").symlink_to("/old")
    (target / "to-nothing").symlink_to("new")
    (target / "outside").symlink_to(tmp_path / "outside")
    copy(inside, "/file", other, "/to-old", owner=ME)
    copy(inside, "/file", other, "/to-nothing", owner=ME)
    assert ((target / "old").read_text(), (target / "new").read_text()) == ("file", "file")
    with pytest.raises(NotFound):
        copy(inside, "/file", other, "/outside", owner=ME)
    assert not (tmp_path / "outside").exists()


def test_a_link_in_a_directorys_place_is_not_followed(
    root: Path, inside: Place, target: Path, other: Place, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (target / "dir").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidOption, match="no directory; one can't take its place"):
        copy(inside, "/dir", other, "/", owner=ME)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_directory_that_is_there_keeps_its_owner_and_files(
    root: Path, inside: Place, target: Path, other: Place
) -> None:
    (target / "dir").mkdir(mode=0o700)
    (target / "dir/kept").write_text("kept")
    copy(inside, "/dir", other, "/", owner=ME)
    assert names(target / "dir") == ["a", "b", "kept", "link", "sub"]


def test_tar_streams(root: Path, inside: Place) -> None:
    out = io.BytesIO()
    copied = copy_to_stream(inside, "/dir", out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        assert tar.getnames() == ["dir", "dir/a", "dir/b", "dir/link", "dir/sub"]
        assert tar.getmember("dir/b").linkname == "dir/a"
    assert copied.target == "-"
    contents = io.BytesIO()
    copy_to_stream(inside, "/dir/.", contents)
    with tarfile.open(fileobj=io.BytesIO(contents.getvalue())) as tar:
        assert tar.getnames() == [".", "./a", "./b", "./link", "./sub"]


def test_a_file_that_shrinks_is_filled_up(root: Path, inside: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "log").write_bytes(b"x" * 3000)
    real = os.read

    def shrinking(fd: int, count: int) -> bytes:
        data = real(fd, 1000)
        os.truncate(root / "log", 1000)
        return data

    monkeypatch.setattr(os, "read", shrinking)
    out = io.BytesIO()
    copy_to_stream(inside, "/log", out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        content = tar.extractfile("log")
        assert content is not None
        assert content.read() == b"x" * 1000 + bytes(2000)


def unpack(other: Place, data: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
    copy_from_stream(io.BytesIO(data), other, "/", owner=ME, limits=limits)


def test_an_archive_is_unpacked(target: Path, other: Place, gzipped: Callable[[bytes], bytes]) -> None:
    data = archive(
        member("./"),
        member("./d/x", b"x"),
        member("hard", kind=tarfile.LNKTYPE, linkname="./d/x"),
        member("abs", kind=tarfile.SYMTYPE, linkname="/d"),
        member("abs/through", b"y"),
    )
    unpack(other, gzipped(data))
    assert names(target) == ["abs", "d", "d/through", "d/x", "hard"]
    assert (target / "hard").samefile(target / "d/x")
    assert (target / "d").stat().st_mtime > 1_600_000_000


@pytest.fixture
def gzipped() -> Callable[[bytes], bytes]:
    import gzip

    return gzip.compress


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (archive(member("../x")), InvalidOption, r"'../x' can't be copied: it leads out"),
        (archive(member("x", kind=tarfile.LNKTYPE, linkname="../y")), InvalidOption, "can't be copied"),
        (archive(member("x", kind=tarfile.CHRTYPE)), InvalidOption, "whiteout"),
        (b"no tar at all" * 100, InvalidLayer, "the archive is damaged at byte"),
        (archive(member("x", bytes(3000)))[:2000], InvalidLayer, "ends too early"),
    ],
)
def test_bad_archives(target: Path, other: Place, data: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        unpack(other, data)
    assert names(target) == []


def test_archives_beyond_the_limits(target: Path, other: Place) -> None:
    with pytest.raises(InvalidLayer, match="more than 1 files"):
        unpack(other, archive(member("a"), member("b")), Limits(max_entries=1))
    with pytest.raises(InvalidLayer, match="more than 2000 bytes"):
        unpack(other, archive(member("c", bytes(3000))), Limits(max_bytes=2000))


def test_an_archive_needs_a_directory(root: Path, inside: Place) -> None:
    for path in ("/file", "/nothing"):
        with pytest.raises(InvalidOption, match=f"c:{path} must be a directory"):
            copy_from_stream(io.BytesIO(archive()), inside, path, owner=ME, limits=DEFAULT_LIMITS)


def test_an_interrupted_file_is_not_left(
    root: Path, inside: Place, target: Path, other: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dockmagic.files import copying

    def interrupted(source: int, target: int) -> None:
        os.write(target, b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(copying, "copy_data", interrupted)
    with pytest.raises(KeyboardInterrupt):
        copy(inside, "/dir", other, "/", owner=ME)
    assert names(target) == ["dir"]
    assert (target / "dir").stat().st_mode & 0o777 == 0o755
