from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dockmagic.builder.content import FileHashes, content_digest, file_digests
from dockmagic.builder.sources import Origin, find_sources
from dockmagic.builder.tree import Found, Tree
from tests.unit.builder.lab import fill


def digest(context: Path, *names: str, hashes: FileHashes | None = None, root_owned: bool = True) -> str:
    origin = Origin(Tree((context,)), "x")
    return content_digest(find_sources(origin, names or ["."]), hashes or FileHashes(), root_owned=root_owned)


@pytest.fixture
def filled(context: Path) -> Path:
    fill(context, {"a": "a", "d/b": "b", "d/link": "-> b", "d/empty/": ""})
    return context


CHANGES: dict[str, Callable[[Path], object]] = {
    "bytes": lambda root: (root / "a").write_text("A"),
    "a name": lambda root: (root / "a").rename(root / "A"),
    "a mode": lambda root: (root / "d/b").chmod(0o600),
    "a directory's mode": lambda root: (root / "d/empty").chmod(0o700),
    "a new file": lambda root: (root / "d/empty/x").touch(),
    "a place": lambda root: (root / "d/b").rename(root / "d/empty/b"),
    "an attribute": lambda root: os.setxattr(root / "a", "user.x", b"1"),
    "a fifo": lambda root: os.mkfifo(root / "fifo"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_whatever_ends_up_in_the_layer_counts(filled: Path, change: Callable[[Path], object]) -> None:
    before = digest(filled)
    change(filled)
    assert digest(filled) != before


@pytest.mark.parametrize("target", ["./b", "/b", "../a"])
def test_a_links_words_count(filled: Path, target: str) -> None:
    before = digest(filled)
    (filled / "d/link").unlink()
    (filled / "d/link").symlink_to(target)
    assert digest(filled) != before


def test_a_kind_counts(filled: Path) -> None:
    before = digest(filled)
    (filled / "d/empty").rmdir()
    (filled / "d/empty").touch(0o755)
    assert digest(filled) != before


def test_times_do_not_count(filled: Path) -> None:
    before = digest(filled)
    for path in [*filled.rglob("*"), filled]:
        os.utime(path, (1, 1), follow_symlinks=False)
    assert digest(filled) == before


def test_what_is_not_copied_does_not_count(filled: Path) -> None:
    before = digest(filled, "d")
    (filled / "a").write_text("changed")
    assert digest(filled, "d") == before


def test_a_files_own_name_counts_but_a_directorys_does_not(filled: Path) -> None:
    file, directory = digest(filled, "a"), digest(filled, "d")
    (filled / "a").rename(filled / "z")
    (filled / "d").rename(filled / "y")
    assert digest(filled, "z") != file
    assert digest(filled, "y") == directory


def test_the_same_bytes_split_otherwise_are_something_else(context: Path) -> None:
    fill(context, {"one/a": "xy", "two/a": "x", "two/b": "y"})
    assert digest(context, "one") != digest(context, "two")


def test_a_hash_is_remembered_until_the_file_changes(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = Found.open

    def counted(found: Found) -> int:
        read.append(found.path)
        return original(found)

    monkeypatch.setattr(Found, "open", counted)
    hashes = FileHashes()
    monkeypatch.setattr(time, "time_ns", lambda: (filled / "a").stat().st_ctime_ns + 10**10)
    before = digest(filled, "a", hashes=hashes)
    assert digest(filled, "a", hashes=hashes) == before
    assert len(read) == 1
    (filled / "a").write_text("b")
    assert digest(filled, "a", hashes=hashes) != before
    assert len(read) == 2


def test_threads_share_the_hashes(filled: Path) -> None:
    hashes = FileHashes()
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: digest(filled, hashes=hashes), range(64)))
    assert found == {digest(filled)}


def test_a_file_that_changed_just_now_is_read_again(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = FileHashes()
    monkeypatch.setattr(time, "time_ns", lambda: (filled / "a").stat().st_ctime_ns + 1)
    before = digest(filled, "a", hashes=hashes)
    status = (filled / "a").stat()
    monkeypatch.setattr("dockmagic.builder.content._hash", lambda found: b"other")
    os.utime(filled / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest(filled, "a", hashes=hashes) != before


def test_the_digests_of_the_parts(filled: Path) -> None:
    def digests() -> dict[str, str]:
        sources = find_sources(Origin(Tree((filled,)), "x"), ["d", "a"])
        return file_digests(sources, FileHashes(), root_owned=True)

    before = digests()
    assert list(before) == ["d/", "d/b", "d/empty/", "d/link", "a"]
    (filled / "d/b").write_text("other")
    (filled / "d/empty").chmod(0o700)
    os.utime(filled / "a", (1, 1))
    after = digests()
    assert [path for path in before if before[path] != after[path]] == ["d/b", "d/empty/"]


def test_a_file_with_many_names_is_read_once(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(context, {"a": "1"})
    (context / "b").hardlink_to(context / "a")
    read: list[str] = []

    def hashed(found: Found) -> bytes:
        read.append(found.path)
        return b"hash"

    monkeypatch.setattr("dockmagic.builder.content._hash", hashed)
    monkeypatch.setattr(time, "time_ns", lambda: (context / "a").stat().st_ctime_ns + 10**10)
    digest(context)
    assert read == ["a"]
