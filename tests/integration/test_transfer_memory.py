"""What a transfer holds in memory doesn't depend on the image: a layer passes in pieces, however large it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dockmagic.engine import Engine
from tests.benchmarks.transfer_tools import CommandLine
from tests.integration.registry_fixture import Registry, running_registry

pytestmark = pytest.mark.root

_MOST_MB: Final = 85  # the layer has 60 MB compressed, and 180 MB plain


@pytest.fixture(scope="module")
def program() -> CommandLine:
    return CommandLine(dict(os.environ))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state root with the image `large`."""
    directory = tmp_path_factory.mktemp("large")
    context = directory / "context"
    context.mkdir()
    with (context / "large").open("wb") as file:
        for _ in range(60):
            file.write(os.urandom(1_000_000) + bytes(2_000_000))
    with Engine(directory / "state") as engine:
        engine.build("FROM scratch\nCOPY large /\n", context=context, tags=["large"])
    return directory / "state"


def test_push_and_pull(program: CommandLine, registry: Registry, store: Path, tmp_path: Path) -> None:
    name = f"{registry.host}/large:1"
    assert program.push(store, "large", name).peak_mb < _MOST_MB
    assert program.pull(tmp_path / "state", name).peak_mb < _MOST_MB


def test_save_and_load(program: CommandLine, store: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    assert program.save(store, "large", archive).peak_mb < _MOST_MB
    assert program.load(tmp_path / "state", "large", archive).peak_mb < _MOST_MB
