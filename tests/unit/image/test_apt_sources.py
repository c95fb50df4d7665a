from __future__ import annotations

from pathlib import Path

from dockmagic.image.apt_sources import DEFAULT_MIRROR, Source, debian_mirror, read_sources

LINES = """
# deb http://commented.example/debian bookworm main
deb-src http://sources.example/debian bookworm main
deb [arch=amd64 signed-by=/x] http://lines.example/debian bookworm main contrib
deb http://lines.example/debian-security bookworm-security main
"""
STANZAS = """Types: deb deb-src
# a comment
URIs: http://one.example/debian http://two.example/debian
Suites: trixie
 trixie-updates
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: sid
"""


def etc_apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(LINES)
    (tmp_path / "sources.list.d/debian.sources").write_text(STANZAS)
    (tmp_path / "sources.list.d/broken.list").write_bytes(b"\xff\xfe")
    (tmp_path / "sources.list.d/old.list.disabled").write_text("deb http://no.example/debian bullseye main\n")
    return tmp_path


def test_both_formats_are_read(tmp_path: Path) -> None:
    assert list(read_sources(etc_apt(tmp_path))) == [
        Source("http://lines.example/debian", "bookworm"),
        Source("http://lines.example/debian-security", "bookworm-security"),
        Source("http://one.example/debian", "trixie"),
        Source("http://one.example/debian", "trixie-updates"),
        Source("http://two.example/debian", "trixie"),
        Source("http://two.example/debian", "trixie-updates"),
    ]


def test_the_suite_s_own_mirror_is_taken(tmp_path: Path) -> None:
    assert debian_mirror("trixie", etc_apt(tmp_path)) == "http://one.example/debian"


def test_another_debian_suite_s_mirror_will_do(tmp_path: Path) -> None:
    assert debian_mirror("sid", etc_apt(tmp_path)) == "http://lines.example/debian"


def test_debian_s_own_mirror_is_the_last_resort(tmp_path: Path) -> None:
    assert debian_mirror("bookworm", tmp_path / "absent") == DEFAULT_MIRROR
    (tmp_path / "sources.list").write_text(
        "deb http://archive.ubuntu.com/ubuntu noble main\ndeb cdrom:[x]/ bookworm main\n"
    )
    assert debian_mirror("bookworm", tmp_path) == DEFAULT_MIRROR
