from __future__ import annotations

import os
from pathlib import Path

from dockmagic.files.diff import container_changes


def make(root: Path, *names: str) -> Path:
    """Files of these names, directories where they end in a slash; all of one time."""
    root.mkdir()
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(exist_ok=True) if name.endswith("/") else path.touch()
    for path in root.rglob("*"):
        os.utime(path, (0, 0))
    return root


def lines(upper: Path, lower: Path, *stubs: bytes) -> list[str]:
    return [f"{change.kind} {change.path}" for change in container_changes(upper, [lower], frozenset(stubs))]


def test_dockers_order(tmp_path: Path) -> None:
    lower = make(tmp_path / "lower", "a/b/old", "a-b", "z/kept")
    upper = make(tmp_path / "upper", "a/b/new", "a/b/c/deep", "a-b", "a.txt", "a/x")
    assert lines(upper, lower) == [
        "C /a",
        "C /a/b",
        "A /a/b/c",
        "A /a/b/c/deep",
        "A /a/b/new",
        "A /a/x",
        "C /a-b",
        "A /a.txt",
    ]


def test_a_directory_that_only_leads_to_a_change_is_none(tmp_path: Path) -> None:
    lower = make(tmp_path / "lower", "a/b/old", "c/d/")
    upper = make(tmp_path / "upper", "a/b/old", "c/d/")
    assert lines(upper, lower) == ["C /a/b/old"]
    (upper / "c/d").chmod(0o700)
    assert lines(upper, lower) == ["C /a/b/old", "C /c/d"]
    os.utime(upper / "a", (1, 1))
    assert lines(upper, lower) == ["C /a", "C /a/b/old", "C /c/d"]


def test_mount_points_are_left_out(tmp_path: Path) -> None:
    lower = make(tmp_path / "lower", "etc/passwd")
    upper = make(tmp_path / "upper", "etc/hosts", "proc/", "new")
    assert lines(upper, lower, b"etc", b"etc/hosts", b"proc") == ["A /new"]
