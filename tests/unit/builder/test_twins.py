from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dockmagic.builder.twins import Twins
from dockmagic.image.snapshot import Layer
from tests.unit.builder.lab import Lab

RUN = "RunAction"
Change = Callable[[Path], object]


def layer_of(lab: Lab, change: Change = lambda directory: None, key: str = "") -> Layer:
    """A layer with a few files and a change; with a key it is in the cache."""
    with lab.workspaces.new() as workspace:
        directory = workspace / "upper"
        lab.snapshots.prepare(None, directory)
        (directory / "d").mkdir()
        (directory / "d/f").write_text("text")
        (directory / "link").symlink_to("d/f")
        change(directory)
        layer = lab.snapshots.commit(None, directory)
    if key:
        lab.parts.cache.record(key, layer, RUN)
    return layer


def later(directory: Path) -> None:
    """Give everything another time."""
    for path in (directory / "d/f", directory / "d", directory):
        os.utime(path, (5, 5))


def test_times_alone_make_no_difference(lab: Lab) -> None:
    first = layer_of(lab, key="first")
    second = layer_of(lab, later)
    assert second.chain_id != first.chain_id
    assert Twins(lab.database, lab.snapshots).find(second, RUN) == first


@pytest.mark.parametrize(
    "change",
    [
        lambda directory: (directory / "d/f").write_text("TEXT"),
        lambda directory: (directory / "d/f").write_text("longer text"),
        lambda directory: (directory / "d/f").chmod(0o600),
        lambda directory: (directory / "d").chmod(0o700),
        lambda directory: (directory / "d/f").rename(directory / "d/g"),
        lambda directory: os.setxattr(directory / "d/f", "user.a", b"b"),
        lambda directory: ((directory / "link").unlink(), (directory / "link").symlink_to("d/g")),
        lambda directory: (directory / "z").mkdir(),
        lambda directory: os.link(directory / "d/f", directory / "d/h"),
        lambda directory: os.mkfifo(directory / "pipe"),
    ],
)
def test_anything_else_does(lab: Lab, change: Change) -> None:
    layer_of(lab, key="first")
    assert Twins(lab.database, lab.snapshots).find(layer_of(lab, change), RUN) is None


def test_only_layers_of_the_same_kind_of_step_count(lab: Lab) -> None:
    layer_of(lab, key="first")
    assert Twins(lab.database, lab.snapshots).find(layer_of(lab, later), "CopyAction") is None
