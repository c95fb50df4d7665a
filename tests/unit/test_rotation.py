from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.rotation import Reader, rotate


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def read(reader: Reader) -> list[str]:
    return [line.decode().rstrip("\n") for line in reader.lines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_what_is_put_aside_is_read_first(path: Path) -> None:
    for word in "abcd":
        write(path, word)
        rotate(str(path), 3)
    write(path, "e")
    assert sorted(each.name for each in path.parent.iterdir()) == ["log", "log.1", "log.2"]
    with Reader(path) as reader:
        assert read(reader) == ["c", "d", "e"]


def test_a_reader_follows_across_changes_of_names(path: Path) -> None:
    write(path, "a")
    with Reader(path) as reader:
        assert read(reader) == ["a"]
        write(path, "b")
        rotate(str(path), 4)
        assert read(reader) == ["b"]
        write(path, "c")
        rotate(str(path), 4)
        write(path, "d")
        rotate(str(path), 4)
        write(path, "e")
        assert read(reader) == ["c", "d", "e"]
        assert read(reader) == []


def test_a_reader_whose_file_is_gone_goes_on_with_the_oldest(path: Path) -> None:
    write(path, "a")
    with Reader(path) as reader:
        assert read(reader) == ["a"]
        for word in "bcd":
            rotate(str(path), 2)
            write(path, word)
        assert read(reader) == ["c", "d"]


def test_one_file_at_most_is_begun_anew(path: Path) -> None:
    write(path, "a")
    with Reader(path) as reader:
        read(reader)
        rotate(str(path), 1)
        write(path, "b")
        assert read(reader) == ["b"]


def test_an_unfinished_line_waits(path: Path) -> None:
    path.write_text("a\nb")
    with Reader(path) as reader:
        assert read(reader) == ["a"]
        write(path, "c")
        assert read(reader) == ["bc"]


@pytest.mark.parametrize("tail", range(7))
def test_the_last_lines_may_lie_in_several_files(path: Path, tail: int) -> None:
    lines = ["a", "b" * 70000, "c", "d", "e"]
    for start in (0, 2, 4):
        write(path, *lines[start : start + 2])
        if start < 4:
            rotate(str(path), 3)
    with Reader(path, tail) as reader:
        assert read(reader) == (lines[-tail:] if tail else [])
        write(path, "new")
        assert read(reader) == ["new"]


def test_a_file_that_is_not_there_yet(path: Path) -> None:
    with Reader(path, 2) as reader:
        assert read(reader) == []
        write(path, "a")
        assert read(reader) == ["a"]
