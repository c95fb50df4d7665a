"""Fixtures for every suite, and the checks that a test's real parts are there: where one is missing, the test fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.leaks import MARK, Watch

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.image.store import Image

_NOT_FOR_A_STATE_ROOT = ("overlay", "aufs", "fuse")


@pytest.fixture(autouse=True)
def real_parts(request: pytest.FixtureRequest) -> None:
    """Fail where the test is marked `root` and this isn't, or `needs` programs that aren't installed."""
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.fail("needs root; run the tests as root")
    for marker in request.node.iter_markers("needs"):
        missing = [program for program in marker.args if shutil.which(program) is None]
        if missing:
            pytest.fail(f"needs {', '.join(missing)}; `make packages` installs what tests/system-packages.txt lists")


@pytest.fixture(scope="session")
def watch() -> Iterator[Watch]:
    """The watch for leaks; every process that the run starts carries its mark from here on."""
    watch = Watch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, watch.mark)
        yield watch


@pytest.fixture
def nothing_left(watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail where the test leaves something on the machine, or in the directory for temporary files, its own here."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with watch.nothing_left(tmp_path):
        yield


@pytest.fixture
def state_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for a state root, which DOCKMAGIC_ROOT names, on a file system that can hold overlays."""
    kind = file_system(tmp_path)
    if kind.startswith(_NOT_FOR_A_STATE_ROOT):
        pytest.fail(f"{tmp_path} is on {kind}, which can't hold overlays; set TMPDIR to a directory on a real one")
    root = tmp_path / "state"
    monkeypatch.setenv("DOCKMAGIC_ROOT", str(root))
    return root


@pytest.fixture(scope="session")
def busybox_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state root to be copied, with the image `busybox:latest` and nothing else."""
    from dockmagic.engine import Engine

    root = tmp_path_factory.mktemp("busybox") / "state"
    with Engine(root) as engine:
        engine.images.bootstrap("busybox")
    return root


@pytest.fixture
def engine(request: pytest.FixtureRequest, state_root: Path) -> Iterator[Engine]:
    """An engine on a state root of its own, which is empty but for what `busybox` brings."""
    from dockmagic.engine import Engine

    if "busybox" in request.fixturenames:  # a copy takes a fraction of what it takes to make the image
        subprocess.run(["cp", "-a", request.getfixturevalue("busybox_root"), state_root], check=True)
    engine = Engine(state_root)
    yield engine
    engine.close()


@pytest.fixture
def busybox(engine: Engine) -> Image:
    """The image `busybox:latest`, in the engine's store."""
    return engine.images.get("busybox")


def file_system(path: Path) -> str:
    """Type of the file system that a path is on."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    lines = [line.partition(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    kinds = [right.split()[0] for left, _, right in lines if left.split()[2] == wanted]
    return kinds[0] if kinds else "unknown"
