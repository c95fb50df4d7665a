from __future__ import annotations

import pytest

from dockmagic.dockerfile.directives import Checks, read_directives
from dockmagic.errors import DockerfileError


@pytest.mark.parametrize(
    ("lines", "expected", "count"),
    [
        ([], {}, 0),
        (["FROM a"], {}, 0),
        (["# escape=`", "FROM a"], {"escape": "`"}, 1),
        (["#Syntax = a/b:1 ", "  #  CHECK=skip=all"], {"syntax": "a/b:1", "check": "skip=all"}, 2),
        (["# escape=\\"], {"escape": "\\"}, 1),
        (["# text", "# escape=`"], {}, 0),
        (["", "# escape=`"], {}, 0),
        (["# escape="], {}, 0),
        (["# escape"], {}, 0),
        (["#=`"], {}, 0),
        (["// syntax=a"], {}, 0),
        (["# syntax=a", "# other=b", "# escape=`"], {"syntax": "a"}, 1),
        (["# syntax=a=b"], {"syntax": "a=b"}, 1),
    ],
)
def test_directives(lines: list[str], expected: dict[str, str], count: int) -> None:
    assert read_directives(lines) == (expected, count)


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        (
            ["# escape=`", "# syntax=a", "# ESCAPE=`"],
            3,
            "only one escape parser directive can be used; remove this one",
        ),
        (["# syntax=a", "# syntax=a"], 2, "only one syntax parser directive can be used; remove this one"),
        (["# escape=x"], 1, "invalid escape token 'x' does not match ` or \\; write # escape=`"),
        (["# escape=``"], 1, "invalid escape token '``' does not match ` or \\; write # escape=`"),
    ],
)
def test_directives_that_cannot_be_used(lines: list[str], line: int, message: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        read_directives(lines)
    assert (raised.value.line, raised.value.message) == (line, message)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", Checks()),
        ("skip=A", Checks(frozenset("A"))),
        ("skip=A, B ,;error=true", Checks(frozenset("AB"), error=True)),
        ("error=TRUE", Checks(error=True)),
        ("error=no;other=1;experimental", Checks()),
        ("skip=all", Checks(skip_all=True)),
    ],
)
def test_checks(value: str, expected: Checks) -> None:
    assert Checks.parse(value) == expected
