from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from dockmagic.image import merged
from dockmagic.image.difference import Difference, Facts, FileChange, difference
from dockmagic.image.merged import Found
from tests.unit.image.test_tree import OPAQUE, WHITEOUT, build


def compare(
    tmp_path: Path, trunk: Mapping[str, str], before: Mapping[str, str], after: Mapping[str, str]
) -> Difference:
    """What is different between two layers on the same trunk."""
    below = build(tmp_path / "trunk", trunk)
    return difference((build(tmp_path / "before", before), below), (build(tmp_path / "after", after), below))


def shown(found: Difference) -> list[str]:
    """The changes in one line each."""
    return [" ".join([change.kind, change.path, *change.what]) for change in found.changes]


def test_added_changed_deleted(tmp_path: Path) -> None:
    found = compare(
        tmp_path, {"t": "trunk", "d/x": "1"}, {"a": "1", "b": "1", "d/y": "2"}, {"b": "22", "c": "333", "d/x": WHITEOUT}
    )
    assert shown(found) == ["D /a", "C /b content", "A /c", "D /d/x", "D /d/y"]
    assert [found.count(kind) for kind in ("A", "C", "D")] == [1, 1, 3]
    assert found.size_bytes == 3 - 1 + 1 - 1 - 1


def test_the_same_files_of_other_layers_are_no_change(tmp_path: Path) -> None:
    assert shown(compare(tmp_path, {"f": "x"}, {"a/b": "1", "f": "x"}, {"a/b": "1"})) == []


def test_a_stack_on_top_of_the_other(tmp_path: Path) -> None:
    lower, upper = build(tmp_path / "one", {"a": "1", "d/e": "2"}), build(tmp_path / "two", {"d/f": "3"})
    assert shown(difference((lower,), (upper, lower))) == ["A /d/f"]
    assert shown(difference((upper, lower), (lower,))) == ["D /d/f"]
    assert shown(difference((), (lower,))) == ["A /a", "A /d", "A /d/e"]
    assert shown(difference((lower,), (lower,))) == []


def test_whiteouts_and_opaque_directories(tmp_path: Path) -> None:
    trunk = {"d/x": "1", "d/sub/y": "2", "e/z": "3", "f/v": "4"}
    after = {"d/": OPAQUE, "d/x": "1", "d/n": "5", "e": WHITEOUT, "f": "now a file"}
    found = compare(tmp_path, trunk, {}, after)
    assert shown(found) == ["A /d/n", "D /d/sub", "D /d/sub/y", "D /e", "D /e/z", "C /f type", "D /f/v"]


def test_what_is_in_a_whiteout_of_both_is_no_change(tmp_path: Path) -> None:
    assert shown(compare(tmp_path, {"a": "1"}, {"a": WHITEOUT}, {"a": WHITEOUT, "b": WHITEOUT})) == []


def test_modes_owners_links_and_attributes(tmp_path: Path) -> None:
    files = {"mode": "1", "attribute": "1", "d/": ""}
    before, after = build(tmp_path / "one", files), build(tmp_path / "two", files)
    (after / "mode").chmod(0o4755)
    (after / "d").chmod(0o700)
    os.setxattr(after / "attribute", "user.colour", b"blue")
    (before / "link").symlink_to("/etc/passwd")
    (after / "link").symlink_to("/etc/shadow")
    (before / "same").symlink_to("/nowhere")
    (after / "same").symlink_to("/nowhere")
    found = difference((before,), (after,))
    assert shown(found) == ["C /attribute xattrs", "C /d mode", "C /link content", "C /mode mode"]
    owner = os.geteuid(), os.getegid()
    mode = (before / "mode").stat().st_mode & 0o7777
    last = found.changes[-1]
    assert last == FileChange("/mode", "C", Facts("file", 1, mode, *owner), Facts("file", 1, 0o4755, *owner), ("mode",))


def test_a_directory_below_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secret").write_text("x")
    before, after = build(tmp_path / "one", {"d/f": "1"}), build(tmp_path / "two", {})
    (after / "d").symlink_to(tmp_path / "elsewhere")
    assert shown(difference((before,), (after,))) == ["C /d type", "D /d/f"]


def test_the_trunk_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(below: Sequence[str], name: str) -> Found | None:
        asked.append(name)
        return merged.look_up(below, name)

    monkeypatch.setattr("dockmagic.image.difference.look_up", look_up)
    compare(tmp_path, {f"many/{number}": "" for number in range(50)}, {"a": "1"}, {"many/new": "2"})
    assert sorted(asked) == ["a", "a", "many", "many", "new", "new"]


def test_large_files_of_one_size(tmp_path: Path) -> None:
    text = "x" * (2 << 20)
    found = compare(tmp_path, {}, {"same": text, "other": f"{text}1"}, {"same": text, "other": f"{text}2"})
    assert shown(found) == ["C /other content"]
