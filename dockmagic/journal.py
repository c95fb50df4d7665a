"""What happened to containers and images of a state root, for all processes to read: `docker events`.

A file of JSON lines in Docker's form (API reference, "Monitor events"); several processes write it, and it is put aside
when it is large, so that the last events are there and not all that ever were. It imports little: monitors write it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dockmagic.rotation import Reader, rotate

NAME: Final = "events.jsonl"
_MOST_BYTES: Final = 2 << 20
_FILES: Final = 2
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Entry:
    """An event: what (`type`: "container" or "image", `id`) it happened to, and when in ns since the epoch."""

    time_ns: int
    type: str
    action: str
    id: str
    attributes: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """The event in Docker's JSON form."""
        legacy: dict[str, Any] = {"status": self.action, "id": self.id}
        if "image" in self.attributes:
            legacy["from"] = self.attributes["image"]
        return {
            **legacy,
            "Type": self.type,
            "Action": self.action,
            "Actor": {"ID": self.id, "Attributes": dict(self.attributes)},
            "scope": "local",
            "time": self.time_ns // 10**9,
            "timeNano": self.time_ns,
        }


def parse(line: bytes) -> Entry | None:
    """The event of a line; None for what is none."""
    with contextlib.suppress(ValueError, LookupError, TypeError):
        found = json.loads(line)
        actor = found["Actor"]
        return Entry(int(found["timeNano"]), found["Type"], found["Action"], actor["ID"], actor["Attributes"])
    return None


class Journal:
    """The events of a state root; the path "" is nowhere."""

    def __init__(self, path: str | os.PathLike[str], most_bytes: int = _MOST_BYTES) -> None:
        self._path = os.fspath(path)
        self._most_bytes = most_bytes

    def write(self, type: str, action: str, id: str, attributes: Mapping[str, str]) -> None:
        """Note that something happened now; on a full disk that is lost."""
        if not self._path:
            return
        with contextlib.suppress(OSError):
            file = self._locked()
            try:
                entry = Entry(time.time_ns(), type, action, id, attributes)  # under the lock: times grow
                os.write(file, f"{json.dumps(entry.document())}\n".encode())
                if os.fstat(file).st_size > self._most_bytes:
                    rotate(self._path, _FILES)
            finally:
                os.close(file)

    def _locked(self) -> int:
        """The file, for this process to write alone; raises OSError."""
        while True:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.path.samestat(os.fstat(file), os.stat(self._path)):
                    return file
            except FileNotFoundError:  # put aside between the two calls
                pass
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def entries(self, since_ns: int = 0, until_ns: int | None = None) -> Iterator[Entry]:
        """Events from `since_ns` on, oldest first, those to come too: up to `until_ns`, or without end."""
        with Reader(self._path) as reader:
            while True:
                over = until_ns is not None and time.time_ns() >= until_ns  # asked first: what comes later is later
                for line in reader.lines():
                    entry = parse(line)
                    if entry is None or entry.time_ns < since_ns:
                        continue
                    if until_ns is not None and entry.time_ns > until_ns:
                        return
                    yield entry
                if over:
                    return
                time.sleep(_POLL_S)


NOWHERE: Final = Journal("")
"""Takes events, and keeps none."""
