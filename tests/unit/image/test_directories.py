from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from tarfile import DIRTYPE

import pytest

from dockmagic.image import overlay
from dockmagic.image.directories import Directories
from dockmagic.image.tar_header import Entry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def directories(root: Path) -> Iterator[Directories]:
    opened = Directories(root)
    yield opened
    opened.close()


def _entry(mode: int = 0o755, mtime_ns: int = 0) -> Entry:
    return Entry(b"", DIRTYPE, mode, os.geteuid(), os.getegid(), mtime_ns=mtime_ns)


def _make(directories: Directories, path: bytes, entry: Entry) -> None:
    parent, _, name = path.rpartition(b"/")
    directories.make(directories.open(parent), name, entry)


def test_missing_parents_are_made(root: Path, directories: Directories) -> None:
    assert directories.open(b"a/b/c").path == b"a/b/c"
    directories.finish()
    status = (root / "a/b").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o755, 0)


def test_parents_that_a_lower_layer_has_look_as_there(root: Path, tmp_path: Path) -> None:
    (tmp_path / "lower/tmp").mkdir(parents=True)
    (tmp_path / "lower/tmp").chmod(0o1777)
    os.utime(tmp_path / "lower/tmp", ns=(0, 7))
    directories = Directories(root, [tmp_path / "lower"])
    directories.open(b"tmp/new")
    directories.finish()
    directories.close()
    assert [stat.S_IMODE((root / name).stat().st_mode) for name in ("tmp", "tmp/new")] == [0o1777, 0o755]
    assert (root / "tmp").stat().st_mtime_ns == 7


def test_a_directory_is_opened_once(directories: Directories) -> None:
    assert directories.open(b"a/b") is directories.open(b"a/b")


def test_many_open_directories_are_closed_in_between(
    root: Path, directories: Directories, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dockmagic.image.directories._MAX_OPEN", 5)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for index in range(30):
        directories.trim()
        directories.open(b"%d" % index)
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 6
    assert len(list(root.iterdir())) == 30


def test_modes_and_times_come_last(root: Path, directories: Directories) -> None:
    for path, mode in ((b"a", 0o500), (b"a/b", 0o000), (b"a/b/c", 0o2711)):
        _make(directories, path, _entry(mode, 5))
    directories.finish()
    try:
        assert stat.S_IMODE((root / "a").stat().st_mode) == 0o500
        assert (root / "a").stat().st_mtime_ns == 5
        (root / "a").chmod(0o700)
        assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0
        (root / "a/b").chmod(0o700)
        assert stat.S_IMODE((root / "a/b/c").stat().st_mode) == 0o2711
    finally:
        (root / "a").chmod(0o700)
        (root / "a/b").chmod(0o700)


def test_the_last_description_counts(root: Path, directories: Directories) -> None:
    for mode in (0o700, 0o711):
        _make(directories, b"a", _entry(mode))
    directories.open(b"a/b")
    directories.finish()
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o711


def test_the_root_may_be_described(root: Path, directories: Directories) -> None:
    directories.describe_root(_entry(0o711, 7))
    directories.open(b"a")
    directories.finish()
    assert (stat.S_IMODE(root.stat().st_mode), root.stat().st_mtime_ns) == (0o711, 7)


@pytest.mark.parametrize("target", ["real/below", "/real/below", "../../../real/below", "other"])
def test_symlinks_lead_to_places_inside(target: str, root: Path, directories: Directories) -> None:
    (root / "real/below").mkdir(parents=True)
    (root / "other").symlink_to("/real/below")
    (root / "link").symlink_to(target)
    assert directories.open(b"link/new").path == b"real/below/new"
    assert (root / "real/below/new").is_dir()


def test_a_symlink_out_of_the_root_leads_nowhere(tmp_path: Path, root: Path, directories: Directories) -> None:
    (tmp_path / "outside").mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="'link'"):
        directories.open(b"link/new")
    assert list((tmp_path / "outside").iterdir()) == []


def test_symlinks_in_a_circle(root: Path, directories: Directories) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(ValueError, match="'a' on the way"):
        directories.open(b"a/c")


def test_a_file_in_the_way(root: Path, directories: Directories) -> None:
    (root / "file").touch()
    with pytest.raises(ValueError, match="'file' on the way"):
        directories.open(b"file/a")


def test_a_path_means_what_it_means_now(root: Path, directories: Directories) -> None:
    """A directory that was replaced by a symlink must not be reached any more through its open descriptor."""
    (root / "real").mkdir()
    directories.open(b"a/b")
    directories.remove(directories.open(b""), b"a")
    (root / "a").symlink_to("real")
    directories.trim()
    assert directories.open(b"a/b").path == b"real/b"
    directories.finish()
    assert (root / "real/b").is_dir()


def test_directories_that_were_replaced_are_not_finished(root: Path, directories: Directories) -> None:
    _make(directories, b"a", _entry(0o700, 5))
    directories.remove(directories.open(b""), b"a")
    (root / "a").symlink_to("b")
    (root / "b").mkdir(0o755)
    directories.finish()
    assert stat.S_IMODE((root / "b").stat().st_mode) == 0o755


def test_removing_takes_all_that_is_inside(root: Path, directories: Directories) -> None:
    directories.open(b"a/b/c/d")
    directories.remove(directories.open(b""), b"a")
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("path", [b"a/" * 255 + b"a", b"a/" * 1500 + b"a"])
def test_depth_has_a_limit(path: bytes, directories: Directories) -> None:
    with pytest.raises(ValueError, match="deep"):
        directories.open(path)


def test_symlinks_do_not_make_more_depth(root: Path, directories: Directories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockmagic.image.directories._MAX_DEPTH", 9)
    directories.open(b"a/" * 6 + b"a")
    (root / "link").symlink_to("a/" * 6 + "a")
    with pytest.raises(ValueError, match="deep"):
        directories.open(b"link/" + b"b/" * 6 + b"b")


def test_a_directory_in_place_of_a_file(root: Path, directories: Directories) -> None:
    (root / "a").touch()
    _make(directories, b"a", _entry())
    assert (root / "a").is_dir()


def test_a_directory_in_place_of_a_whiteout_is_opaque(
    root: Path, directories: Directories, monkeypatch: pytest.MonkeyPatch
) -> None:
    opaque: list[str] = []
    monkeypatch.setattr(overlay, "make_opaque", lambda fd: opaque.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    for name in (b"a", b"b"):
        overlay.make_whiteout(name, directories.open(b"").fd)
    _make(directories, b"a", _entry())
    directories.open(b"b/c")
    assert opaque == [str(root / "a"), str(root / "b")]
