from __future__ import annotations

import pytest

from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.convert import instruction_of
from dockmagic.dockerfile.nodes import Heredoc
from dockmagic.dockerfile.parser import parse


def instruction(text: str) -> df.Instruction:
    """The instruction that the text is."""
    return instruction_of(parse(text).nodes[0])


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--chown=a:b", df.Copy(("x",), "y", chown="a:b")),
        ("--chmod=755", df.Copy(("x",), "y", chmod="755")),
        ("--link", df.Copy(("x",), "y", link=True)),
        ("--parents", df.Copy(("x",), "y", parents=True)),
        ("--exclude=a --exclude=b", df.Copy(("x",), "y", exclude=("a", "b"))),
        ("--from=a", df.Copy(("x",), "y", from_="a")),
        ("--from=a$", df.Copy(("x",), "y", from_="a$")),
        ("--from=", df.Copy(("x",), "y")),
    ],
)
def test_flags_of_copy(flag: str, expected: df.Copy) -> None:
    assert instruction(f"COPY {flag} x y") == expected


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--checksum=sha256:a", df.Add(("x",), "y", checksum="sha256:a")),
        ("--keep-git-dir", df.Add(("x",), "y", keep_git_dir=True)),
        ("--keep-git-dir=false", df.Add(("x",), "y", keep_git_dir=False)),
        ("--unpack=true", df.Add(("x",), "y", unpack=True)),
        ("--unpack=false", df.Add(("x",), "y", unpack=False)),
    ],
)
def test_flags_of_add(flag: str, expected: df.Add) -> None:
    assert instruction(f"ADD {flag} x y") == expected


def test_a_json_array_holds_no_heredocs() -> None:
    assert instruction('COPY ["<<a", "b"]') == df.Copy(("<<a",), "b")


def test_a_quoted_word_is_no_heredoc() -> None:
    found = instruction('COPY "a <<b c" <<d e/\nd')
    assert found == df.Copy(('"a', "<<b", 'c"'), "e/", heredocs=(Heredoc("d", ""),))
    assert instruction('COPY <<"a b" c\na b') == df.Copy(('<<"a', 'b"'), "c")


def test_heredocs_among_paths() -> None:
    found = instruction("COPY a <<-b c 2<<d e/\n\tx\n\tb\nd\n")
    expected = (Heredoc("b", "x\n", strip_tabs=True), Heredoc("d", "", fd=2))
    assert found == df.Copy(("a", "c"), "e/", heredocs=expected)
