"""The builders that are compared, each as a function that builds one Dockerfile with one context.

dockmagic comes as a call in a process that lives on, as in a notebook, and as a command line, for which an interpreter
starts. Everybody has a store of their own, all on one file system, with the same base image in it; nobody has a
network. The others run their steps with crun and may build as many stages at a time as there are.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.peers import PODMAN, ULIMITS

if TYPE_CHECKING:
    from dockmagic.engine import Engine

PROGRAMS: Final = ("buildah", "podman", "crun")
REFERENCE: Final = "buildah bud --layers"
BASE: Final = "busybox"
_BUILD: Final = ("--layers", "--pull-never", "--network", "none", "--jobs", "4", *ULIMITS)

Build = Callable[[Path], None]  # takes a context with a Dockerfile in it


def builders(engine: Engine, directory: Path) -> dict[str, Build]:
    """All of them, by name; their stores are made below the directory."""
    archive = _base(engine, directory)
    return {
        "dockmagic, in a process": in_process(engine),
        "dockmagic build": command_line(directory),
        REFERENCE: buildah(archive, directory),
        "podman build": podman(archive, directory),
    }


def in_process(engine: Engine) -> Build:
    """A call of the engine."""

    def build(context: Path) -> None:
        engine.build((context / "Dockerfile").read_text(), context=context, tags=["bench"])

    return build


def command_line(directory: Path) -> Build:
    """The command line, with a state root of its own."""
    base = [sys.executable, "-m", "dockmagic"]
    env = {**os.environ, "DOCKMAGIC_ROOT": f"{directory}/command-line", "PYTHONPYCACHEPREFIX": f"{directory}/pycache"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    _run([*base, "image", "bootstrap", BASE], env)
    return lambda context: _run([*base, "build", "-q", "-t", "bench", context], env)


def buildah(archive: Path, directory: Path) -> Build:
    """The reference."""
    base = ["buildah", "--root", f"{directory}/buildah", "--runroot", f"{directory}/buildah-run"]
    base += ["--storage-driver", "overlay"]
    scratch = directory / "base"
    scratch.mkdir()
    (scratch / "Dockerfile").write_text(f"FROM scratch\nADD {archive.name} /\n")
    (scratch / archive.name).hardlink_to(archive)
    _run([*base, "bud", "-q", "-t", BASE, scratch])
    options = ["--runtime", "crun", "--isolation", "oci"]
    return lambda context: _run([*base, "bud", "-q", *_BUILD, *options, "-t", "bench", context])


def podman(archive: Path, directory: Path) -> Build:
    """Podman, which has buildah in it."""
    base = ["podman", "--root", f"{directory}/podman", "--runroot", f"{directory}/podman-run", *PODMAN]
    base += ["--tmpdir", f"{directory}/podman-tmp", "--runtime", "crun"]
    _run([*base, "import", archive, BASE])
    return lambda context: _run([*base, "build", "-q", *_BUILD, "-t", "bench", context])


def _base(engine: Engine, directory: Path) -> Path:
    """The base image, made in the engine's store, as an archive of its files."""
    image = engine.images.bootstrap(BASE)
    archive = directory / "base.tar"
    subprocess.run(["tar", "-C", engine.snapshots.lower(image.config.diff_ids)[0], "-cf", archive, "."], check=True)
    return archive


def _run(argv: Sequence[str | Path], env: dict[str, str] | None = None) -> None:
    """Run a program, which must end well."""
    done = subprocess.run(argv, env=env, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, argv))} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
