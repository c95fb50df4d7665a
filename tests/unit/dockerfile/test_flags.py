from __future__ import annotations

import pytest

from dockmagic.dockerfile.flags import Flags, Kind, split_flags
from dockmagic.dockerfile.nodes import Node
from dockmagic.errors import DockerfileError

ALLOWED: dict[str, Kind] = {"from": "value", "exclude": "values", "link": "switch"}


def node(*flags: str) -> Node:
    """A COPY with these flags."""
    return Node("COPY", " ".join(["COPY", *flags, "a b"]), flags, "a b", (), 1, 1)


@pytest.mark.parametrize(
    ("text", "flags", "rest"),
    [
        ("", (), ""),
        ("a", (), "a"),
        ("--a b", ("--a",), "b"),
        ("  --a=b  --c  d e ", ("--a=b", "--c"), "d e "),
        ("--a='b c'\"d\" e", ("--a=b cd",), "e"),
        ("--a=b\\ c\\'d e", ("--a=b c'd",), "e"),
        ("--a='b", ("--a=b",), ""),
        ("--a\\", ("--a",), ""),
        ("-a b", (), "-a b"),
        ("-- --a", (), " --a"),
        ("--a -- b", ("--a",), " b"),
        ("--", (), ""),
        ("--a='b\\'c' d", ("--a=b'c",), "d"),
    ],
)
def test_cutting_flags_off(text: str, flags: tuple[str, ...], rest: str) -> None:
    assert split_flags(text) == (flags, rest)


def test_flags_that_are_given() -> None:
    flags = Flags(node("--from=a", "--exclude=b=c", "--exclude=", "--link"), ALLOWED)
    assert (flags.value("from"), flags.values("exclude"), flags.switch("link")) == ("a", ("b=c", ""), True)


def test_flags_that_are_not_given() -> None:
    flags = Flags(node(), ALLOWED)
    assert (flags.value("from"), flags.values("exclude"), flags.switch("link")) == (None, (), None)


@pytest.mark.parametrize(("flag", "expected"), [("--link=true", True), ("--link=FALSE", False)])
def test_switches(flag: str, expected: bool) -> None:
    assert Flags(node(flag), ALLOWED).switch("link") is expected


def test_an_empty_value_is_none() -> None:
    assert Flags(node("--from="), ALLOWED).value("from") is None


@pytest.mark.parametrize(
    ("flags", "column", "message"),
    [
        (["--form=a"], 5, "unknown flag: --form (did you mean --from?); COPY has --exclude, --from, --link"),
        (["--zzz"], 5, "unknown flag: --zzz; COPY has --exclude, --from, --link"),
        (["--exclude=a", "--from"], 17, "missing a value on flag: --from; write --from=VALUE"),
        (["--from=a", "--from=b"], 5, "duplicate flag specified: --from; leave one of them"),
        (["--link="], 5, "expecting boolean value for flag --link, not: ''; write true or false"),
        (["--link=1"], 5, "expecting boolean value for flag --link, not: '1'; write true or false"),
    ],
)
def test_flags_that_cannot_be(flags: list[str], column: int, message: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        Flags(node(*flags), ALLOWED)
    assert (raised.value.column, raised.value.message) == (column, message)
