"""A JSON file that other programs keep too: read whole, and changed without losing what isn't ours.

A change is atomic: a temporary file beside the true one takes its place, so that a reader sees the old or the new. It
holds secrets: its mode is 0600. Two writers of this module wait for each other (flock(2) on the directory).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from dockmagic.errors import DockmagicError, InvalidOption

_INDENT = re.compile(r'\{\r?\n([ \t]+)"')
_DEFAULT_INDENT: Final = "\t"  # Docker's and podman's


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty where there is no file; raises InvalidOption for what isn't one."""
    return parse_object(_text(path), str(path))


@contextmanager
def edited(path: Path) -> Iterator[dict[str, Any]]:
    """Give the object in a file, and write it back where the block changed it; nothing where the block fails.

    Symbolic links are followed: the file they lead to changes. Raises InvalidOption where it holds something else,
    DockmagicError where it can't be written.
    """
    target = path.resolve()
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(target.parent):
            text = _text(target)
            document = parse_object(text, str(path))
            before = json.dumps(document)
            yield document
            if json.dumps(document) != before:
                _replace(target, _format(document, text))
    except OSError as error:
        reason = error.strerror or str(error)
        raise DockmagicError(
            f"{path}: can't be written ({reason}); DOCKER_CONFIG can name another directory"
        ) from error


def _text(path: Path) -> str:
    """The file's text, "" where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOption(f"{path}: can't be read ({error}); correct it or remove it") from error


def parse_object(text: str, place: str) -> dict[str, Any]:
    """The object that a text is, which comes from this place; an empty text is an empty one. Raises InvalidOption."""
    try:
        document = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise InvalidOption(f"{place}: not JSON ({error}); correct it or remove it") from error
    if not isinstance(document, dict):
        raise InvalidOption(f"{place}: expected a JSON object; correct it or remove it")
    return document


def _format(document: dict[str, Any], like: str) -> str:
    """The object as a text, indented like the one before and with the same end."""
    found = _INDENT.match(like)
    indent = found[1] if found else None if like.strip(" \t\r\n{}") else _DEFAULT_INDENT
    return json.dumps(document, indent=indent, ensure_ascii=False) + ("\n" if like.endswith("\n") else "")


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other writers out of a directory; the lock goes with its descriptor, however this process ends."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, text: str) -> None:
    """Put a file with this text and the owner of the one before in the place of `path`."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            with suppress(FileNotFoundError, PermissionError):
                before = path.stat()
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
