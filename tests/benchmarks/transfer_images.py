"""Images to be moved about, as OCI layouts that are made once and kept: of Debian's packages, and of extreme shapes.

What apt finds here is downloaded, so the images of one day and machine are the same.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.integration.registry_fixture import make_layout

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.image.store import Image

REAL: Final = ("4 layers", "20 layers")
EXTREME: Final = ("a layer of 1 GB", "a layer of 100,000 files")
_PACKAGES: Final = (
    *("cmake-data", "curl", "file", "gettext", "groff-base", "less", "man-db", "nano", "openssl", "python3-pip"),
    *("rsync", "socat", "sqlite3", "strace", "sudo", "tmux", "tzdata", "xz-utils", "zstd"),
)
_MANY: Final = 100_000
_LARGE_PIECES: Final = 1000  # of 1 MB


def layouts(directory: Path) -> dict[str, Path]:
    """The layout of each image below the directory, by the image's name; those that are there already stay."""
    found = {name: directory / name.replace(" ", "-").replace(",", "") for name in (*REAL, *EXTREME)}
    if missing := [name for name, layout in found.items() if not (layout / "index.json").exists()]:
        directory.mkdir(parents=True, exist_ok=True)
        _make(missing, found, directory)
    return found


def _make(names: Sequence[str], places: dict[str, Path], directory: Path) -> None:
    """Build these images and write their layouts."""
    from dockmagic.engine import Engine

    makers = {
        REAL[0]: lambda engine: _debian(engine, directory, 3),
        REAL[1]: lambda engine: _debian(engine, directory, len(_PACKAGES)),
        EXTREME[0]: lambda engine: _built(engine, _large(directory / "large"), "FROM scratch\nCOPY large /\n"),
        EXTREME[1]: lambda engine: _built(engine, _many(directory / "many"), "FROM scratch\nCOPY . /\n"),
    }
    with Engine(directory / "state") as engine:
        for name in names:
            make_layout(makers[name](engine), engine.store, places[name])


def _debian(engine: Engine, directory: Path, count: int) -> Image:
    """An image of Debian's base system and `count` layers with the packages' files."""
    if "debian:latest" not in {reference.familiar for image in engine.images.ls() for reference in image.references}:
        engine.images.bootstrap("debian")
    context = directory / f"packages-{count}"
    for number, package in enumerate(_downloaded(directory / "packages")):
        layer = context / str(number % count)
        layer.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "-x", package, layer], check=True)
    copies = "".join(f"COPY {number} /packages/{number}/\n" for number in range(count))
    return _built(engine, context, f"FROM debian\n{copies}")


def _downloaded(directory: Path) -> list[Path]:
    """The archives of the packages."""
    if not directory.exists():
        partial = directory.with_suffix(".partial")
        partial.mkdir(exist_ok=True)
        subprocess.run(["apt-get", "-q", "download", *_PACKAGES], cwd=partial, check=True, capture_output=True)
        partial.rename(directory)
    return sorted(directory.iterdir())


def _built(engine: Engine, context: Path, text: str) -> Image:
    """The image that a Dockerfile gives."""
    return engine.build(text, context=context)


def _large(context: Path) -> Path:
    """A context with one file of 1 GB, half of which compresses well."""
    context.mkdir(exist_ok=True)
    source = random.Random(1)
    with (context / "large").open("wb") as file:
        for _ in range(_LARGE_PIECES):
            file.write(source.randbytes(500_000) + bytes(500_000))
    return context


def _many(context: Path) -> Path:
    """A context with very many small files."""
    for number in range(_MANY):
        path = context / str(number // 1000) / str(number)
        if not number % 1000:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n")
    return context
