"""Where a root file system comes from that is to be imported: a file, a URL, or a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dockmagic.builder.download import download
from dockmagic.errors import BuildError, InvalidOption
from dockmagic.image.streams import Source
from dockmagic.image.workspace import Workspaces

_URL: Final = ("http://", "https://")


def is_url(source: object) -> bool:
    """Whether it is text that names something to be fetched."""
    return isinstance(source, str) and source.lower().startswith(_URL)


@contextmanager
def opened_archive(source: str | Path | Source, workspaces: Workspaces) -> Iterator[Source]:
    """The archive to read, for the block; what a URL names is fetched first. Raises InvalidOption."""
    if not isinstance(source, str | Path):
        yield source
    elif is_url(source):
        with workspaces.new("import-", hold=False) as workspace:
            try:
                download(str(source), workspace / "archive")
            except BuildError as error:
                raise InvalidOption(str(error)) from error
            with (workspace / "archive").open("rb", buffering=0) as file:
                yield file
    else:
        try:
            file = os.fdopen(os.open(source, os.O_RDONLY | os.O_CLOEXEC), "rb", buffering=0)
        except OSError as error:
            raise InvalidOption(f"can't read {source}: {error.strerror}") from error
        with file:
            yield file
