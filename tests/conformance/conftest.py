"""The engines that are compared, once for all modules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import scene
from tests.leaks import Watch


@pytest.fixture(scope="session")
def scene_place(tmp_path_factory: pytest.TempPathFactory, watch: Watch) -> Path:
    """The directory that the engines are called in."""
    return scene.make_place(tmp_path_factory.mktemp("p"))  # podman wants a short path


@pytest.fixture(scope="session")
def dockmagic(scene_place: Path) -> Iterator[scene.Side]:
    """dockmagic, with the images of the cases."""
    with scene.dockmagic(scene_place) as side:
        yield side


@pytest.fixture(scope="session")
def podman(scene_place: Path, dockmagic: scene.Side) -> Iterator[scene.Side]:
    """podman, with the same images."""
    with scene.podman(scene_place) as side:
        yield side
