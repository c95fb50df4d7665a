"""Files and directories that have their name only once they are whole, and leave nothing behind otherwise."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from dockmagic.errors import InvalidOption
from dockmagic.image.streams import output_errors


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write; it takes its place, and that of an older one, at the end of the block.

    What isn't a regular file, such as a FIFO or /dev/null, is written as it is. Raises InvalidOption where that can't
    be, and for a terminal; StoreError where the last of it can't be written.
    """
    if path.is_dir():
        raise InvalidOption(f"{path} is a directory; name the file to write")
    if path.exists() and not path.is_file():
        with _written(_opened(path, path, "wb"), path) as file:
            if file.isatty():
                raise InvalidOption(f"{path} is a terminal; name a file")
            yield file
        return
    path = path.resolve()
    temporary = _beside(path)
    file = _opened(temporary, path, "xb")
    try:
        with _written(file, path):
            yield file
        with output_errors(f"write {path}"):
            temporary.rename(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """A directory to fill: the one that is there, or a new one that takes its place at the end of the block.

    Directories above are made. Raises InvalidOption where something else is there, or nothing can be made, StoreError
    where it can't take its place.
    """
    if path.is_dir():
        yield path
        return
    if path.exists():
        raise InvalidOption(f"{path} isn't a directory; name another")
    temporary = _beside(path)
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise InvalidOption(f"can't make {path}: {error.strerror}") from error
    try:
        yield temporary
        with output_errors(f"make {path}"):
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _written(file: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    """Close the file at the end of the block, and say so where its last bytes can't be written."""
    try:
        yield file
    except BaseException:
        with suppress(OSError):
            file.close()
        raise
    with output_errors(f"write {path}"):
        file.close()


def _opened(path: Path, meant: Path, mode: str) -> BinaryIO:
    """The file opened; an error speaks of `meant`."""
    try:
        return cast("BinaryIO", path.open(mode))
    except OSError as error:
        raise InvalidOption(f"can't write {meant}: {error.strerror}") from error


def _beside(path: Path) -> Path:
    """A name in the same directory that nobody has."""
    path = path.absolute()
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")
