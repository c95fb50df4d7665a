"""Where a start was when it failed: each part of the work names its stage, and an OSError in it becomes a Failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from dockmagic.errors import Failure


class Failed(Exception):
    """A start that can't go on; `failure` says where and why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


@contextmanager
def stage(name: str, doing: str) -> Iterator[None]:
    """Turn an OSError into Failed, with the stage's name and what was being done as the reason."""
    try:
        yield
    except OSError as error:
        raise Failed(Failure(name, error.errno or 0, f"{doing}: {describe(error)}")) from error


def describe(error: OSError) -> str:
    """The error in one line: the call, the file, the kernel's words."""
    parts = [*getattr(error, "__notes__", ()), error.filename, error.strerror or str(error)]
    return ": ".join(os.fsdecode(part) for part in parts if part)
