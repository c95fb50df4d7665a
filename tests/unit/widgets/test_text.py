from __future__ import annotations

import pytest

from dockmagic.errors import printable
from dockmagic.widgets.text import memory_text, plain_line, plural, size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_700, "1 MB"), (123_456, "123 kB"), (9e15, "9000 TB")],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (64 << 20, "64 MiB"), (1000 << 20, "1000 MiB")]
)
def test_memory(size: float, text: str) -> None:
    assert memory_text(size) == text


def test_nothing_orders_a_terminal_about() -> None:
    assert printable("a\x1b[2J\n\udcff") == "a\\x1b[2J\\n\\udcff"
    assert plain_line("\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\ty") == "red x   y"


def test_plurals() -> None:
    assert [plural(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
