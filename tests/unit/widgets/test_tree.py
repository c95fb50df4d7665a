from __future__ import annotations

import re

from dockmagic.widgets.tree import tree_html, tree_text
from tests.unit.commands.fakes import change, node

HOSTILE = '/app/<script>alert("1")</script>\n\x1b[2J'
NODES = (
    node(
        "ADD rootfs.tar /",
        size_bytes=1_210_000,
        added=312,
        largest=(change("/bin/busybox", size_bytes=1_200_000), change("/bin", type="dir")),
    ),
    node(
        "COPY ./ \\\n  ./",
        size_bytes=84_000,
        added=1,
        changed=1,
        removed=1,
        largest=(
            change(HOSTILE, size_bytes=80_000),
            change("/etc/motd", "C", size_bytes=20),
            change("/etc/issue", "D", size_bytes=12),
        ),
    ),
    node("WORKDIR /app", added=1, largest=(change("/app", type="dir"),)),
    node('CMD ["sh"]', empty=True),
)


def test_the_tree_as_text() -> None:
    assert tree_text("hello", NODES).splitlines() == [
        "hello  1.29 MB in 3 layers",
        "├─   1.21 MB  ADD rootfs.tar /  (+312)",
        "│       1.2 MB  + /bin/busybox",
        "│               … 311 more",
        "├─     84 kB  COPY ./ \\ ./  (+1 ~1 −1)",
        '│        80 kB  + /app/<script>alert("1")</script>\\n\\x1b[2J',
        "│         20 B  ~ /etc/motd",
        "│         12 B  − /etc/issue",
        "├─       0 B  WORKDIR /app  (+1)",
        '└─            CMD ["sh"]',
    ]


def test_the_tree_as_html_opens_without_a_script() -> None:
    html = tree_html("he<b>llo", NODES)
    assert html.count("<details") == html.count("</details>") == 2
    assert "<script" not in html
    assert "<style" not in html
    assert "\x1b" not in html
    assert "he&lt;b&gt;llo" in html
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;\\n\\x1b[2J" in html


def test_every_element_of_the_html_is_closed() -> None:
    html = tree_html("hello", NODES)
    for tag in ("div", "span", "details", "summary", "b"):
        assert len(re.findall(rf"<{tag}[ >]", html)) == html.count(f"</{tag}>")


def test_many_files_are_not_all_listed() -> None:
    files = tuple(change(f"/f{n}", size_bytes=n) for n in range(100))
    html = tree_html("x", [node("RUN x", size_bytes=1, added=3000, largest=files)])
    assert html.count("/f") == 60
    assert "… and 2940 more" in html


def test_an_image_without_layers() -> None:
    assert tree_text("x", []) == "x  0 B in 0 layers"
    assert "0 layers" in tree_html("x", [])
