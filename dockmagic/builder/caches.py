"""The directories behind RUN --mount=type=cache: below `cache` in the state root, they outlive builds and processes.

    cache/<key>/        flocked while somebody uses it, its time that of the last use; the key stands for all below
        id              the name that Dockerfiles call it by
        tree/           what is mounted

`shared` users have one directory at the same time; a `locked` one waits until it has it alone; a `private` one takes
the first that nobody uses, `<key>`, `<key>-1` and so on. Whoever removes an entry has to lock it alone first.
Source: Dockerfile reference, "RUN --mount=type=cache"; flock(2).
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dockmagic.image.workspace import Workspaces, store_errors

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK_UP_S: Final = 0.02
_STRICTEST: Final = ("shared", "private", "locked")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A cache to use. `origin` is all that decides what a new one begins with, which `fill` puts into a directory."""

    id: str
    sharing: str
    origin: tuple[str | int | None, ...]
    fill: Callable[[Path], None]

    @property
    def key(self) -> str:
        """Name of the entry."""
        return hashlib.sha256(json.dumps([self.id, *self.origin]).encode("utf-8", "surrogateescape")).hexdigest()[:32]


class Caches:
    """The directory `cache` of a state root. Has no state of its own: any number of processes may have one."""

    def __init__(self, root: Path, workspaces: Workspaces) -> None:
        self._directory = root / "cache"
        self._workspaces = workspaces

    @contextmanager
    def use(self, wanted: Sequence[Wanted], on_wait: Callable[[str], None]) -> Iterator[Mapping[str, Path]]:
        """The caches' trees by their keys, held until the end of the block; `on_wait` hears which one is waited for.

        They are taken in the order of their keys, so that two who need the same ones never wait for each other. What
        is wanted twice is had once, in the strictest way asked for.
        """
        strictest = sorted(wanted, key=lambda each: _STRICTEST.index(each.sharing))
        entries = {each.key: each for each in strictest}
        with ExitStack() as stack:
            trees = {}
            for key in sorted(entries):
                with store_errors("use a cache"):
                    entry, lock = self._take(entries[key], on_wait)
                stack.callback(os.close, lock)
                os.utime(entry)
                trees[key] = entry / "tree"
            yield trees

    def _take(self, wanted: Wanted, on_wait: Callable[[str], None]) -> tuple[Path, int]:
        """An entry, and the descriptor that locks it."""
        if wanted.sharing == "private":
            for number in itertools.count():
                entry = self._directory / (f"{wanted.key}-{number}" if number else wanted.key)
                lock = self._lock(entry, wanted, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if lock is not None:
                    return entry, lock
        entry = self._directory / wanted.key
        mode = fcntl.LOCK_EX if wanted.sharing == "locked" else fcntl.LOCK_SH
        lock = self._lock(entry, wanted, mode | fcntl.LOCK_NB)
        if lock is None:
            on_wait(wanted.id)
        while lock is None:  # an interrupt doesn't reach a thread that waits in flock(2)
            time.sleep(_LOOK_UP_S)
            lock = self._lock(entry, wanted, mode | fcntl.LOCK_NB)
        return entry, lock

    def _lock(self, entry: Path, wanted: Wanted, mode: int) -> int | None:
        """Descriptor of the locked entry, which is made where it is missing; None where it can't be had at once."""
        while True:
            lock = self._opened(entry, wanted)
            try:
                fcntl.flock(lock, mode)
                if _is(lock, entry):
                    return lock
                os.close(lock)  # it was removed meanwhile
            except BlockingIOError:
                os.close(lock)
                return None
            except BaseException:
                os.close(lock)
                raise

    def _opened(self, entry: Path, wanted: Wanted) -> int:
        while True:
            with suppress(FileNotFoundError):
                return os.open(entry, _DIRECTORY)
            self._make(entry, wanted)

    def _make(self, entry: Path, wanted: Wanted) -> None:
        """Make the entry aside and rename it, so that it is whole or not there; somebody else's is as good."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        with self._workspaces.new("cache-") as workspace:
            new = workspace / "entry"
            new.mkdir(mode=0o700)
            (new / "id").write_text(wanted.id, encoding="utf-8", errors="surrogateescape")
            (new / "tree").mkdir()
            (new / "tree").chmod(0o755)
            wanted.fill(new / "tree")
            with suppress(OSError):
                new.rename(entry)


def _is(descriptor: int, path: Path) -> bool:
    """Whether the descriptor's directory is still what is at the path."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False
