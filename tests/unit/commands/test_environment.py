from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.commands.environment import build_arguments, pairs, variables
from dockmagic.errors import InvalidOption


def test_flags_come_after_files_so_that_they_win(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text('\ufeff# a comment\n\n  A=1 \nB="x"\nHOME\nNOT_HERE\n')
    entries = variables(["A=2", "C=", "NOT_HERE"], [str(file)], {"HOME": "/root"})
    assert entries == ("A=1 ", 'B="x"', "HOME=/root", "A=2", "C=", "NOT_HERE")


@pytest.mark.parametrize("line", ["=x", "A B=1", "A B"])
def test_a_line_of_a_file_that_is_no_variable(tmp_path: Path, line: str) -> None:
    file = tmp_path / "env"
    file.write_text(f"A=1\n{line}\n")
    with pytest.raises(InvalidOption, match="line 2"):
        variables([], [str(file)], {})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="No such file"):
        variables([], [str(tmp_path / "none")], {})
    (tmp_path / "binary").write_bytes(b"A=1\nB=\xff\xfe\x00\n")
    with pytest.raises(InvalidOption, match=r"line 2: .* UTF-8"):
        variables([], [str(tmp_path / "binary")], {})


def test_only_a_newline_ends_a_line_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(b"\xef\xbb\xbfA=1\r\nB=x\x0cy\xe2\x80\xa8z\n# C=1\n\nD=2")
    assert variables([], [str(tmp_path / "env")], {}) == ("A=1", "B=x\x0cy\u2028z", "D=2")


def test_a_variable_without_a_name() -> None:
    with pytest.raises(InvalidOption, match="NAME=value"):
        variables(["=1"], [], {})


def test_labels() -> None:
    assert pairs(["a=1", "b", "a=2=3"]) == {"a": "2=3", "b": ""}
    with pytest.raises(InvalidOption, match="no name"):
        pairs(["=1"])


def test_build_arguments_take_the_callers_values() -> None:
    assert build_arguments(["A=1", "B", "C"], {"B": "2"}) == {"A": "1", "B": "2"}
