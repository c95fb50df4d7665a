from __future__ import annotations

import os

import pytest

from dockmagic.commands.confirm import QUESTION, confirm
from dockmagic.errors import DockmagicError
from tests.unit.commands.calling import reading
from tests.unit.commands.fakes import FakeConsole


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [(b"y\n", True), (b"YES\n", True), (b" y \r\n", True), (b"n\n", False), (b"\n", False), (b"yo\n", False)],
)
def test_answers(answer: bytes, meaning: bool) -> None:
    with reading(answer) as console:
        assert confirm(console, False, "This will hurt.") is meaning
        assert console.streams["stdout"] == f"WARNING! This will hurt.\n{QUESTION}".encode()


def test_only_a_line_of_the_input_is_read() -> None:
    with reading(b"y\nrest") as console:
        assert confirm(console, False, "")
        assert console.stdin is not None
        assert os.read(console.stdin, 10) == b"rest"


def test_an_end_of_the_input_is_no_answer() -> None:
    with reading(b"") as console, pytest.raises(DockmagicError, match="nothing was removed"):
        confirm(console, False, "")


def test_nobody_is_asked_with_force_or_without_an_input() -> None:
    console = FakeConsole()
    assert confirm(console, False, "")
    with reading(b"n\n") as asked:
        assert confirm(asked, True, "")
    assert console.streams["stdout"] == b""
