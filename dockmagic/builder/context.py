"""The build context: the directory that COPY and ADD take files from, less what .dockerignore excludes.

It is fetched and read where an instruction needs it and not before. Names in it are resolved inside of it, links
included; files in it count as root's. Source: Dockerfile reference, ".dockerignore file"; docker build's.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Final

from dockmagic.builder.addresses import is_address
from dockmagic.builder.remotes import Remotes
from dockmagic.builder.sources import Origin
from dockmagic.builder.tree import Tree
from dockmagic.dockerfile.ignore import IgnoreFile
from dockmagic.errors import BuildError

_IGNORE_NAME: Final = ".dockerignore"


class Context:
    """A directory, an address, or None: no context at all. `dockerfile` is the file that is built, None for mere text.

    `name` is the one that `--build-context` gave it. `remotes` fetches what is at an address.
    """

    def __init__(
        self,
        place: Path | str | None,
        dockerfile: Path | None = None,
        name: str = "",
        remotes: Remotes | None = None,
    ) -> None:
        self._what = f"the build context {name}" if name else "the build context"
        self._place = place
        self._dockerfile = dockerfile
        self._remotes = remotes

    def named(self, name: str, place: str) -> Context:
        """Another context of the same build."""
        return Context(place if is_address(place) else Path(place), name=name, remotes=self._remotes)

    @cached_property
    def origin(self) -> Origin:
        """The context as a place to copy from; raises BuildError if there is none, or it is no directory."""
        if self._place is None:
            raise BuildError("this build has no context to copy from; name a directory, such as .")
        try:
            directory = self._fetched(self._place).resolve(strict=True)
        except OSError as error:
            raise BuildError(f"the build context {self._place} can't be used: {error.strerror}") from error
        if not directory.is_dir():
            raise BuildError(f"the build context {self._place} isn't a directory")
        return Origin(Tree((directory,)), self._what, self._ignore(directory), root_owned=True)

    @property
    def ignore(self) -> IgnoreFile:
        """What is left out of the context; nothing where there is none."""
        return IgnoreFile() if self._place is None else self.origin.ignore

    def _ignore(self, directory: Path) -> IgnoreFile:
        """The rules of `<Dockerfile>.dockerignore`, else of .dockerignore, else none; links lead to nowhere outside."""
        places = [(directory, _IGNORE_NAME)]
        if self._dockerfile is not None:
            path = self._dockerfile.resolve().parent / (self._dockerfile.name + _IGNORE_NAME)
            inside = path.is_relative_to(directory)
            places.insert(0, (directory, str(path.relative_to(directory))) if inside else (path.parent, path.name))
        for root, name in places:
            found = Tree((root,)).lookup(name)
            if found is not None and found.is_file:
                with os.fdopen(found.open(), encoding="utf-8", errors="surrogateescape") as file:
                    return IgnoreFile.parse(file.read())
        return IgnoreFile.parse("")

    def _fetched(self, place: Path | str) -> Path:
        """The directory; what is at an address is fetched."""
        if isinstance(place, Path):
            return place
        assert self._remotes is not None
        return self._remotes.directory(place)
