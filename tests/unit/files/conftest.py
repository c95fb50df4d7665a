"""Directories of the test as the roots of places."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.files.place import Place


def place_at(path: Path, name: str) -> Iterator[Place]:
    """The directory, made, as a place's root."""
    path.mkdir()
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY)
    yield Place(fd, name)
    os.close(fd)


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Place]:
    """A container's root, `tmp_path/inside`."""
    yield from place_at(tmp_path / "inside", "c")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Place]:
    """Another one, `tmp_path/other`."""
    yield from place_at(tmp_path / "other", "o")
