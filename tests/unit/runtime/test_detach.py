from __future__ import annotations

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.runtime.detach import DetachKeys, parse


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-@,x", b"\0x"),
        ("CTRL-A", b"\1"),
        ("ctrl-],ctrl-_", b"\x1d\x1f"),
    ],
)
def test_keys_are_named_as_dockers(text: str, keys: bytes) -> None:
    assert parse(text) == keys


@pytest.mark.parametrize("text", ["", "ctrl-1", "ab", "ctrl-a,", "é"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="unknown character"):
        parse(text)


def test_a_beginning_is_held_back_and_comes_after_all() -> None:
    keys = DetachKeys(b"\x10\x11")
    assert keys.take(b"ab\x10") == (b"ab", False)
    assert keys.take(b"c") == (b"\x10c", False)
    assert keys.take(b"\x10\x10") == (b"\x10", False)
    assert keys.take(b"\x11never") == (b"", True)


def test_all_at_once() -> None:
    assert DetachKeys(b"\x10\x11").take(b"exit\r\x10\x11rest") == (b"exit\r", True)
