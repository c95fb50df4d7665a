"""The build context: the directory that COPY and ADD take files from, less what .dockerignore excludes.

It is read where an instruction needs it and not before. Names in it are resolved inside of it, links included; files
in it count as root's. Source: Dockerfile reference, ".dockerignore file"; `docker build` for which one applies.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Final

from dockmagic.builder.sources import Origin
from dockmagic.builder.tree import Tree
from dockmagic.dockerfile.ignore import IgnoreFile
from dockmagic.errors import BuildError

_IGNORE_NAME: Final = ".dockerignore"


class Context:
    """A directory, or None: no context at all. `dockerfile` is the file that is built, None for text from elsewhere.

    `name` is the one that `--build-context` gave it.
    """

    def __init__(self, directory: Path | None, dockerfile: Path | None = None, name: str = "") -> None:
        self._what = f"the build context {name}" if name else "the build context"
        self._directory = directory
        self._dockerfile = dockerfile

    @cached_property
    def origin(self) -> Origin:
        """The context as a place to copy from; raises BuildError if there is none, or it is no directory."""
        if self._directory is None:
            raise BuildError("this build has no context to copy from; name a directory, such as .")
        try:
            directory = self._directory.resolve(strict=True)
        except OSError as error:
            raise BuildError(f"the build context {self._directory} can't be used: {error.strerror}") from error
        if not directory.is_dir():
            raise BuildError(f"the build context {self._directory} isn't a directory")
        return Origin(Tree((directory,)), self._what, self._ignore(directory), root_owned=True)

    @property
    def ignore(self) -> IgnoreFile:
        """What is left out of the context; nothing where there is none."""
        return IgnoreFile() if self._directory is None else self.origin.ignore

    def _ignore(self, directory: Path) -> IgnoreFile:
        """The rules of `<Dockerfile>.dockerignore`, else of .dockerignore, else none."""
        candidates = [directory / _IGNORE_NAME]
        if self._dockerfile is not None:
            candidates.insert(0, self._dockerfile.with_name(self._dockerfile.name + _IGNORE_NAME))
        for path in candidates:
            if path.is_file():
                return IgnoreFile.parse(path.read_text(encoding="utf-8", errors="surrogateescape"))
        return IgnoreFile.parse("")
