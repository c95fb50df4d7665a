from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption, NotFound
from dockmagic.files.place import Place, check_target, host, is_directory


@pytest.fixture
def root(tmp_path: Path, inside: Place) -> Path:
    """The files of `inside`: links of all kinds, some of which would lead out."""
    root = tmp_path / "inside"
    (root / "dir/sub").mkdir(parents=True)
    (root / "file").write_text("file")
    (tmp_path / "secret").write_text("of the host")
    for name, to in {
        "link": "file",
        "absolute": "/dir",
        "chain": "absolute",
        "broken": "dir/nothing",
        "circle": "circle",
        "up": "../../../../file",
        "out": str(tmp_path / "secret"),
    }.items():
        (root / name).symlink_to(to)
    return root


def kind(status: os.stat_result | None) -> str:
    return "" if status is None else {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}[
        stat.S_IFMT(status.st_mode)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "dir"),
        ("/file", "file"),
        ("/file/", ""),
        ("/link", "link"),
        ("/absolute", "link"),
        ("/absolute/", "dir"),
        ("/absolute/.", "dir"),
        ("/absolute/sub", "dir"),
        ("/up", "link"),
        ("/../../dir", "dir"),
        ("/nothing", ""),
        ("/file/x", ""),
    ],
)
def test_what_is_at_a_path(root: Path, inside: Place, path: str, expected: str) -> None:
    assert kind(inside.status(path)) == expected


@pytest.mark.parametrize(
    ("path", "settled", "expected"),
    [
        ("/link", "/file", "file"),
        ("/chain", "/dir", "dir"),
        ("/broken", "/dir/nothing", ""),
        ("/up", "/../../../../file", "file"),
        ("/dir", "/dir", "dir"),
    ],
)
def test_where_links_end(root: Path, inside: Place, path: str, settled: str, expected: str) -> None:
    found, status = inside.settled(path)
    assert (found, kind(status)) == (settled, expected)


def test_links_stay_inside(root: Path, inside: Place) -> None:
    assert inside.settled("/out")[1] is None
    with pytest.raises(InvalidOption, match="c:/circle: its links lead in a circle"):
        inside.settled("/circle")
    assert inside.parts("/chain/sub/..") == [b"dir"]
    assert inside.parts("/") == []
    with pytest.raises(NotFound, match="no such directory: c:/file"):
        inside.parts("/file")


def test_the_hosts_paths(tmp_path: Path) -> None:
    with host() as place:
        assert place.shown("/x") == "/x"
        assert is_directory(place.status(str(tmp_path)))
        assert place.parts(str(tmp_path)) == [os.fsencode(part) for part in tmp_path.resolve().parts[1:]]


def test_targets(root: Path, inside: Place) -> None:
    os.mkfifo(root / "fifo")
    check_target("/file", inside.status("/file"), "c:/file")
    check_target("/nothing", None, "c:/nothing")
    with pytest.raises(InvalidOption, match="c:/fifo must be a directory or a regular file"):
        check_target("/fifo", inside.status("/fifo"), "c:/fifo")
