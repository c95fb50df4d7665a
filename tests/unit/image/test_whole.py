from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption, StoreError
from dockmagic.image.whole import whole_directory, whole_file


def test_a_file_takes_its_place_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with whole_file(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    with pytest.raises(KeyError), whole_file(target):
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_goes_on_pointing_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("out")
    with whole_file(tmp_path / "link") as file:
        file.write(b"new")
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "out").read_bytes()) == (True, b"new")


def test_what_is_no_regular_file_stays_what_it_is() -> None:
    main, terminal = os.openpty()
    name = Path(os.ttyname(terminal))
    with pytest.raises(InvalidOption, match="is a terminal"), whole_file(name):
        pass
    os.close(main)
    os.close(terminal)
    with whole_file(Path("/dev/null")) as file:
        file.write(b"x")
    assert Path("/dev/null").is_char_device()


def test_a_new_directory_takes_its_place_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a/b"
    with pytest.raises(FileExistsError), whole_directory(target) as directory:
        directory.mkdir()
    assert list((tmp_path / "a").iterdir()) == []
    with whole_directory(target) as directory:
        (directory / "file").touch()
        assert not target.exists()
    with whole_directory(target) as directory:
        assert directory == target
    assert [path.name for path in target.iterdir()] == ["file"]


def test_places_where_nothing_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidOption, match="file isn't a directory; name another"), whole_directory(tmp_path / "file"):
        pass
    with (
        pytest.raises(InvalidOption, match=r"can't make .*file/x: Not a directory"),
        whole_directory(tmp_path / "file/x"),
    ):
        pass
    with pytest.raises(InvalidOption, match="is a directory; name the file"), whole_file(tmp_path):
        pass
    with pytest.raises(InvalidOption, match=r"can't write .*none/x: No such file"), whole_file(tmp_path / "none/x"):
        pass


def test_what_comes_between(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(StoreError, match=r"cannot make .*dangling"), whole_directory(tmp_path / "dangling"):
        pass
    with pytest.raises(StoreError, match=r"cannot write .*late"), whole_file(tmp_path / "late"):
        (tmp_path / "late").mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "late"]


def test_a_full_device() -> None:
    with pytest.raises(StoreError, match="No space left on device"), whole_file(Path("/dev/full")) as file:
        file.write(b"x")
