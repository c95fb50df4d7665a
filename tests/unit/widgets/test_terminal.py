from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.oci.spec import ConsoleSize
from dockmagic.widgets import terminal
from dockmagic.widgets.terminal import last_screen

SIZE = ConsoleSize(height=4, width=20)


def test_the_last_screen_is_what_is_left_on_it() -> None:
    text, html = last_screen(b"".join(b"line %d\r\n" % number for number in range(9)) + b"\x1b[1A\x1b[2Kend <&>", SIZE)
    assert text.splitlines() == ["line 6", "line 7", "end <&>"]
    assert "line 7\nend &lt;&amp;&gt;</pre>" in html


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("31", "color:red"),
        ("93", "color:#ffd75f"),
        ("33", "color:#b58900"),
        ("1;38;2;1;2;3", "color:#010203;font-weight:bold"),
        ("44", "background:blue"),
        ("7", "color:#000;background:#eee"),
    ],
)
def test_colours_stay(codes: str, style: str) -> None:
    html = last_screen(f"a\x1b[{codes}mb c\x1b[0md".encode(), SIZE)[1]
    assert f'>a<span style="{style}">b c</span>d</pre>' in html


def test_the_page_needs_nothing_from_elsewhere() -> None:
    static = Path(terminal.__file__).with_name("static")
    code = (static / "xterm.js").read_text()
    assert "import(" not in code
    assert "sourceMappingURL" not in code
    assert (static / "xterm.LICENSE").read_text().count("Permission is hereby granted") == 2
