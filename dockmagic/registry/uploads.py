"""Blobs on their way into a registry; each is hashed while it arrives. Source: distribution-spec "Pushing Blobs".

The name of an upload is made here and never becomes part of a path by way of a client.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dockmagic.oci.digest import Digest
from dockmagic.registry.faults import Fault

ABANDONED_S: Final = 3600.0  # nobody goes on with an upload that has rested so long


class Upload:
    """A blob that one client sends in one or more requests, one at a time: whoever writes holds `lock`."""

    def __init__(self, repository: str, path: Path, clock: Callable[[], float]) -> None:
        self.repository = repository
        self.path = path
        self.name = path.name
        self.size = 0
        self.lock = threading.Lock()
        self.touched_s = clock()
        self._clock = clock
        self._hash = hashlib.sha256()

    def write(self, pieces: Iterable[bytes]) -> None:
        """Add what arrives; what came before an error stays."""
        with self.path.open("r+b", buffering=0) as file:
            file.seek(self.size)
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[file.write(rest) :]
                self._hash.update(piece)
                self.size += len(piece)
                self.touched_s = self._clock()

    def digest(self, algorithm: str) -> Digest:
        """Digest of what is there."""
        if algorithm == self._hash.name:
            return Digest(f"{algorithm}:{self._hash.hexdigest()}")
        with self.path.open("rb") as file:
            return Digest(f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}")


class Uploads:
    """The uploads of one server. Their files lie in a directory which is empty at the beginning."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, Upload] = {}
        directory.mkdir(parents=True, exist_ok=True)
        for left in directory.iterdir():
            left.unlink()

    def begin(self, repository: str) -> Upload:
        """A new upload; those that nobody goes on with are given up."""
        self._sweep()
        upload = Upload(repository, self.spare(), self._clock)
        upload.path.touch(mode=0o600, exist_ok=False)
        with self._lock:
            self._open[upload.name] = upload
        return upload

    @contextmanager
    def held(self, repository: str, name: str) -> Iterator[Upload]:
        """The upload of this name, for one request alone; waits for another one that has it. Raises Fault."""
        with self._get(repository, name).lock:
            yield self._get(repository, name)  # again: who had it may have ended it

    def end(self, upload: Upload) -> None:
        """Forget an upload, and its file where that is still here; idempotent."""
        with self._lock:
            self._open.pop(upload.name, None)
        upload.path.unlink(missing_ok=True)

    def spare(self) -> Path:
        """A path of a file that isn't there yet."""
        return self._directory / secrets.token_hex(16)

    def close(self) -> None:
        """Give all of them up."""
        for upload in list(self._open.values()):
            self.end(upload)

    def _get(self, repository: str, name: str) -> Upload:
        with self._lock:
            upload = self._open.get(name)
        if upload is None or upload.repository != repository:
            raise Fault("BLOB_UPLOAD_UNKNOWN", "there is no such upload; it is finished, given up, or never was begun")
        return upload

    def _sweep(self) -> None:
        """Give up those that have rested too long."""
        with self._lock:
            old = [upload for upload in self._open.values() if self._clock() - upload.touched_s > ABANDONED_S]
        for upload in old:
            if upload.lock.acquire(blocking=False):  # else somebody goes on with it just now
                try:
                    self.end(upload)
                finally:
                    upload.lock.release()


def write_whole(path: Path, data: bytes, spare: Path) -> None:
    """Write a file so that its name stands for all of it or for what was there before; `spare` is where it is made."""
    with spare.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    path.parent.mkdir(parents=True, exist_ok=True)
    spare.rename(path)
