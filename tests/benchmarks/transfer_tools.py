"""Who moves images, each with the same four verbs: dockmagic as a call and as a command line, podman, and skopeo.

An image goes by the name that it has in the registry, and a store is a directory: a state root, a root of podman's, or
an OCI layout, which is all that skopeo has. Skopeo unpacks nothing, and packs layers again where an archive has them
plain.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from dockmagic.engine import Engine
from tests.benchmarks.costs import Cost, called, spawned
from tests.benchmarks.peers import PODMAN

PROGRAMS: Final = ("docker-registry", "podman", "skopeo", "debootstrap")
REFERENCE: Final = "podman"


class Tool(Protocol):
    """One who moves images; each verb gives what it cost."""

    name: str

    def prepare(self, store: Path) -> None:
        """Make an empty store."""

    def pull(self, store: Path, image: str) -> Cost:
        """Get an image from a registry."""

    def push(self, store: Path, image: str, target: str) -> Cost:
        """Put an image into a registry."""

    def save(self, store: Path, image: str, archive: Path) -> Cost:
        """Write an image as `docker save` does."""

    def load(self, store: Path, image: str, archive: Path) -> Cost:
        """Get an image from such an archive."""


def tools(directory: Path) -> list[Tool]:
    """All of them; what they make besides stores lies below the directory."""
    directory.mkdir()
    env = {**os.environ, "TMPDIR": str(directory), "no_proxy": "127.0.0.1"}
    compiled = {**env, "PYTHONPYCACHEPREFIX": f"{directory}/pycache"}
    compiled.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    return [InProcess(), CommandLine(compiled), Podman(env), Skopeo(env)]


class InProcess:
    """A call of an engine that is open."""

    name = "dockmagic, in a process"

    def prepare(self, store: Path) -> None:
        Engine(store).close()

    def pull(self, store: Path, image: str) -> Cost:
        return _on_engine(store, lambda engine: engine.images.pull(image))

    def push(self, store: Path, image: str, target: str) -> Cost:
        with Engine(store) as engine:
            engine.images.tag(image, target)
            return called(lambda: engine.images.push(target))

    def save(self, store: Path, image: str, archive: Path) -> Cost:
        with archive.open("wb", buffering=0) as out:
            return _on_engine(store, lambda engine: engine.images.save([image], out))

    def load(self, store: Path, image: str, archive: Path) -> Cost:
        with archive.open("rb", buffering=0) as source:
            return _on_engine(store, lambda engine: engine.images.load(source))


def _on_engine(store: Path, action: Callable[[Engine], object]) -> Cost:
    """The cost of what is done with an engine."""
    with Engine(store) as engine:
        return called(lambda: action(engine))


class CommandLine:
    """The command line, for which an interpreter starts."""

    name = "dockmagic"

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env

    def prepare(self, store: Path) -> None:
        self._run(store, "image", "ls")

    def pull(self, store: Path, image: str) -> Cost:
        return self._run(store, "pull", "-q", image)

    def push(self, store: Path, image: str, target: str) -> Cost:
        self._run(store, "tag", image, target)
        return self._run(store, "push", "-q", target)

    def save(self, store: Path, image: str, archive: Path) -> Cost:
        return self._run(store, "save", "-o", archive, image)

    def load(self, store: Path, image: str, archive: Path) -> Cost:
        return self._run(store, "load", "-q", "-i", archive)

    def _run(self, store: Path, *words: str | Path) -> Cost:
        return spawned([sys.executable, "-m", "dockmagic", *words], {**self._env, "DOCKMAGIC_ROOT": str(store)})


class Podman:
    """Podman; its store is an overlay's, as ours."""

    name = REFERENCE

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env

    def prepare(self, store: Path) -> None:
        self._run(store, "images")

    def pull(self, store: Path, image: str) -> Cost:
        return self._run(store, "pull", "-q", "--tls-verify=false", image)

    def push(self, store: Path, image: str, target: str) -> Cost:
        return self._run(store, "push", "-q", "--tls-verify=false", image, target)

    def save(self, store: Path, image: str, archive: Path) -> Cost:
        return self._run(store, "save", "-q", "-o", archive, image)

    def load(self, store: Path, image: str, archive: Path) -> Cost:
        return self._run(store, "load", "-q", "-i", archive)

    def _run(self, store: Path, *words: str | Path) -> Cost:
        short = f"/run/{store.name}"  # podman allows 50 characters; /run is our own
        places = (f"--root={store}", f"--runroot={short}", f"--tmpdir={short}-tmp")
        return spawned(["podman", *places, *PODMAN, *words], self._env)


class Skopeo:
    """Skopeo, from and to OCI layouts."""

    name = "skopeo"

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env

    def prepare(self, store: Path) -> None:
        store.mkdir()

    def pull(self, store: Path, image: str) -> Cost:
        return self._copy("--src-tls-verify=false", f"docker://{image}", f"oci:{store}:{_tag(image)}")

    def push(self, store: Path, image: str, target: str) -> Cost:
        return self._copy("--dest-tls-verify=false", f"oci:{store}:{_tag(image)}", f"docker://{target}")

    def save(self, store: Path, image: str, archive: Path) -> Cost:
        return self._copy(f"oci:{store}:{_tag(image)}", f"docker-archive:{archive}:{image}")

    def load(self, store: Path, image: str, archive: Path) -> Cost:
        return self._copy(f"docker-archive:{archive}", f"oci:{store}:{_tag(image)}")

    def _copy(self, *words: str) -> Cost:
        return spawned(["skopeo", "--insecure-policy", "copy", "-q", *words], self._env)


def _tag(image: str) -> str:
    """A name for an image in a layout."""
    return image.rpartition(":")[2]
