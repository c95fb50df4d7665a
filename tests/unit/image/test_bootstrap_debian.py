from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import BuildError, InvalidOption, Unsupported
from dockmagic.image.bootstrap_debian import bootstrap_debian
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore

Bench = tuple[ImageStore, Snapshots]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    root = tmp_path / "root"
    database = Database(root / "state.db")
    store = ImageStore(root, database)
    yield store, Snapshots(root, database, store, store.workspaces)
    database.close()
    assert list((root / "tmp").iterdir()) == []


def programs(directory: Path, **texts: str) -> str:
    """A PATH that holds these shell scripts only."""
    directory.mkdir()
    for name, text in texts.items():
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
    return str(directory)


@pytest.mark.parametrize("suite", ["", "--help", "Bookworm", "../x", "a b"])
def test_a_suite_that_is_none_is_refused(bench: Bench, suite: str) -> None:
    with pytest.raises(InvalidOption, match="not a Debian suite"):
        bootstrap_debian(*bench, suite=suite)


@pytest.mark.parametrize("package", ["", "-x", "a,b", "Curl", "a b"])
def test_a_package_that_is_none_is_refused(bench: Bench, package: str) -> None:
    with pytest.raises(InvalidOption, match="not a package name"):
        bootstrap_debian(*bench, packages=["curl", package])


def test_without_a_tool_the_package_is_named(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="apt-get install debootstrap"):
        bootstrap_debian(*bench, path=programs(tmp_path / "bin", unshare="exit 0"))


def test_without_root_the_way_out_is_named(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unsupported, match="debootstrap needs root"):
        bootstrap_debian(*bench, path=programs(tmp_path / "bin", unshare="", debootstrap=""))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("debootstrap", "--variant=minbase --include=curl,less trixie TREE http://m.example/debian"),
        (
            "mmdebstrap",
            "--mode=root --format=directory --variant=minbase --include=curl,less trixie TREE http://m.example/debian",
        ),
    ],
)
def test_the_tool_is_started_apart_and_its_failure_shown(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expected: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    path = programs(tmp_path / "bin", unshare='echo "unshare $*"; shift 4; "$@"', **{name: 'echo "$*"; exit 7'})
    lines: list[str] = []
    with pytest.raises(BuildError, match="ended with status 7") as caught:
        bootstrap_debian(
            *bench,
            suite="trixie",
            packages=["curl", "less"],
            mirror="http://m.example/debian",
            path=path,
            on_line=lines.append,
        )
    assert lines[0].startswith("unshare --mount --pid --fork --kill-child /")
    tree = next(word for word in lines[1].split() if word.endswith("/tree"))
    assert lines[1].replace(tree, "TREE") == expected
    assert name in str(caught.value.step)
