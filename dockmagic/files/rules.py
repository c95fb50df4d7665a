"""Where cp puts things: Docker's rules on what is there already and how paths end. Pure.

    source      destination              result
    file        nothing, no "/" at end   a file of that name
    file        nothing, "/" at end      an error: there is no such directory
    file        file                     replaced
    file        directory                put into it
    directory   nothing                  a directory of that name with the same contents
    directory   file                     an error
    directory   directory                put into it; only what is in it where the source ends with "/."

Source: Docker's reference of `container cp`.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from dockmagic.errors import InvalidOption

STREAM = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied: its path as it was given, and whether it is a directory."""

    path: str
    is_dir: bool


@dataclass(frozen=True, slots=True)
class Target:
    """Where it goes: a path, links at its end followed; `shown` is what the user called it."""

    path: str
    exists: bool
    is_dir: bool
    shown: str


@dataclass(frozen=True, slots=True)
class Landing:
    """The directory to write to, which has to be there, and the name in it; "." for contents alone."""

    directory: str
    name: str


def landing(source: Source, target: Target) -> Landing:
    """Where the source ends up; raises InvalidOption where one can't take the other's place."""
    if target.exists and target.is_dir:
        return Landing(target.path, entry_name(source.path))
    if target.exists and source.is_dir:
        raise InvalidOption(f"can't copy the directory {source.path} to {target.shown}, which is a file; name another")
    if not target.exists and not source.is_dir and names_directory(target.path):
        raise InvalidOption(f"{target.shown}: there is no such directory; make it first, or leave out the / at the end")
    return Landing(*split(target.path))


def names_directory(path: str) -> bool:
    """Whether the path can only mean a directory.

    >>> names_directory("/a/"), names_directory("/a/."), names_directory("/a")
    (True, True, False)
    """
    return path.endswith("/") or path.rpartition("/")[2] == "."


def absolute(path: str, base: str = "/") -> str:
    """The absolute form without "..", which keeps what says "directory" at its end; raises InvalidOption for a NUL.

    >>> absolute("a/../b/"), absolute("x/.", "/home"), absolute("/../etc")
    ('/b/', '/home/x/.', '/etc')
    """
    if "\0" in path:
        raise InvalidOption(f"the path {path!r} has a NUL in it, which no file's name can have")
    clean = posixpath.normpath(posixpath.join("/", base, path)).replace("//", "/")
    if path.rpartition("/")[2] == ".":
        return f"{clean.rstrip('/')}/."
    return f"{clean.rstrip('/')}/" if path.endswith("/") else clean


def split(path: str) -> tuple[str, str]:
    """Directory and last part of an absolute path; the last part of one that ends with "/." is ".".

    >>> split("/a/b/"), split("/a/."), split("/")
    (('/a', 'b'), ('/a', '.'), ('/', '.'))
    """
    if path.rstrip("/").rpartition("/")[2] in ("", "."):
        return posixpath.normpath(path), "."
    return posixpath.split(posixpath.normpath(path))


def entry_name(path: str) -> str:
    """The name that a source has in a directory; "." where only its contents go there."""
    return split(path)[1]


def container_and_path(argument: str) -> tuple[str, str]:
    """Container, "" for none, and path of an argument of cp.

    >>> container_and_path("c:/etc"), container_and_path("./a:b"), container_and_path("/a:b"), container_and_path("a")
    (('c', '/etc'), ('', './a:b'), ('', '/a:b'), ('', 'a'))
    """
    container, colon, path = argument.partition(":")
    if not colon or argument.startswith(("/", ".")):
        return "", argument
    return container, path
