from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dockmagic.builder.attributes import Attributes, Owner
from dockmagic.builder.upper import Upper
from dockmagic.errors import BuildError
from dockmagic.image.overlay import OPAQUE
from tests.unit.builder import lab

ME = Owner(os.geteuid(), os.getegid())
PLAIN = Attributes(0o640, ME, 5_000_000_000)


@pytest.fixture
def low(tmp_path: Path) -> Path:
    """A lower layer."""
    directory = tmp_path / "low"
    lab.fill(directory, {"d/sub/old": "old", "file": "file", "link": "-> d"})
    (directory / "d").chmod(0o750)
    os.setxattr(directory / "d", "user.kept", b"1")
    os.setxattr(directory / "d", "user.overlay.opaque", b"y")
    os.utime(directory / "d", (7, 7))
    return directory


@pytest.fixture
def upper(tmp_path: Path, low: Path) -> Upper:
    """An upper directory over it."""
    (tmp_path / "up").mkdir()
    return Upper(tmp_path / "up", (low,))


def put(upper: Upper, path: str, text: str = "new") -> Path:
    def fill(file: int) -> None:
        os.write(file, text.encode())

    upper.create(path, fill, PLAIN)
    return upper.place(path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_new_file_has_its_attributes_and_directories_are_as_below(upper: Upper, low: Path) -> None:
    place = put(upper, "d/sub/new")
    assert place == upper.directory / "d/sub/new"
    assert (place.read_text(), mode(place), place.stat().st_mtime) == ("new", 0o640, 5)
    assert mode(upper.directory / "d") == 0o750
    assert os.listxattr(upper.directory / "d") == ["user.kept"]
    assert [path.name for path in (upper.directory / "d/sub").iterdir()] == ["new"]
    assert upper.tree.names("d/sub") == ["new", "old"]


def test_new_directories_on_the_way(upper: Upper) -> None:
    upper.make_directories("d/x/y", ME)
    assert mode(upper.directory / "d/x/y") == 0o755
    upper.make_directories("d/x/y", ME)


def test_nothing_is_made_for_a_directory_that_is_there(upper: Upper) -> None:
    upper.make_directories("d/sub", ME)
    upper.make_directories("", ME)
    assert list(upper.directory.iterdir()) == []


def test_a_file_in_the_way_of_a_directory(upper: Upper) -> None:
    with pytest.raises(BuildError, match="/file isn't a directory"):
        upper.make_directories("file/x", ME)


def test_a_file_of_this_step_is_replaced(upper: Upper) -> None:
    put(upper, "new", "first")
    put(upper, "new", "second")
    assert (upper.directory / "new").read_text() == "second"


def test_a_link_is_replaced_not_followed(upper: Upper) -> None:
    upper.symlink("l", "/etc/passwd", PLAIN)
    put(upper, "l")
    assert not (upper.directory / "l").is_symlink()


def test_a_file_takes_the_place_of_a_directory_of_this_step(upper: Upper) -> None:
    upper.make_directories("x/y", ME)
    put(upper, "x/y/z")
    put(upper, "x")
    assert (upper.directory / "x").is_file()
    assert upper.tree.find("x/y") is None


def test_a_directory_takes_the_place_of_a_file(upper: Upper) -> None:
    put(upper, "new")
    assert upper.make_directory("new").is_dir()
    assert upper.make_directory("new") == upper.directory / "new"
    assert upper.make_directory("file").is_dir()
    assert upper.tree.names("file") == []


def test_what_a_file_has_covered_is_not_remembered(upper: Upper) -> None:
    assert upper.tree.names("d/sub") == ["old"]
    put(upper, "d")
    assert upper.tree.find("d/sub") is None
    assert upper.tree.find("d/sub/old") is None


def test_a_directory_that_comes_back_hides_what_was_in_it_below(upper: Upper, monkeypatch: pytest.MonkeyPatch) -> None:
    set_on: list[tuple[Path, str, bytes]] = []
    monkeypatch.setattr(os, "setxattr", lambda *args, **options: set_on.append(args))
    put(upper, "d")
    place = upper.make_directory("d")
    assert set_on == [(place, OPAQUE, b"y")]


def test_links_keep_their_words_and_times(upper: Upper) -> None:
    upper.symlink("l", "./a//b/", PLAIN)
    place = upper.directory / "l"
    assert os.readlink(place) == "./a//b/"  # noqa: PTH115 - a Path would tidy it up
    assert place.lstat().st_mtime == 5


def test_hard_links(upper: Upper) -> None:
    upper.link("two", put(upper, "one"))
    assert (upper.directory / "two").stat().st_ino == (upper.directory / "one").stat().st_ino


def test_a_file_from_below_can_be_linked_to(upper: Upper, low: Path) -> None:
    os.utime(low / "d/sub/old", (9, 9))
    upper.link("two", upper.bring_up("d/sub/old"))
    assert (upper.directory / "two").read_text() == "old"
    assert (upper.directory / "d/sub/old").stat().st_mtime == 9
    assert upper.bring_up("two") == upper.directory / "two"
    assert os.readlink(upper.bring_up("link")) == "d"  # noqa: PTH115


@pytest.mark.parametrize("path", ["nothing", "d"])
def test_what_cannot_be_linked_to(upper: Upper, path: str) -> None:
    with pytest.raises(BuildError, match=f"there is no file /{path} to link to"):
        upper.bring_up(path)


def test_pipes_and_the_device_that_a_layer_cannot_hold(upper: Upper) -> None:
    upper.node("pipe", stat.S_IFIFO, 0, PLAIN)
    assert stat.S_ISFIFO((upper.directory / "pipe").stat().st_mode)
    with pytest.raises(BuildError, match="/zero would be the character device 0/0"):
        upper.node("zero", stat.S_IFCHR, 0, PLAIN)
