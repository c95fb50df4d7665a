"""A container's log, read: lines with their stream and time, and those still to come."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

POLL_S: Final = 0.05
BLOCK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a container wrote: `data` ends with a newline unless the line was cut or is the last one."""

    time_ns: int
    stream: str
    data: bytes


def read(path: Path, *, tail: int | None = None) -> Iterator[LogLine]:
    """Lines of the log, oldest first; only the last `tail` of them. A log that isn't there has none."""
    return follow(path, running=lambda: False, tail=tail)


def follow(path: Path, *, running: Callable[[], bool], tail: int | None = None) -> Iterator[LogLine]:
    """Lines of the log, and new ones as long as the container is `running`."""
    position = 0 if tail is None else _tail_position(path, tail)
    while True:
        alive = running()  # asked before reading, or the last lines could be missed
        for line, end in _entries(path, position):
            position = end
            yield line
        if not alive:
            return
        time.sleep(POLL_S)


def _tail_position(path: Path, count: int) -> int:
    """Where the last `count` complete lines of the file begin; 0 where there are no more than that, or no file."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        start = file.seek(0, os.SEEK_END)
        while start > 0:
            size = min(BLOCK, start)
            start = file.seek(start - size)
            block = file.read(size)
            excess = block.count(b"\n") - count
            if excess > 0:
                return start + size - len(block.split(b"\n", excess)[-1])
            count = -excess
    return 0


def _entries(path: Path, start: int) -> Iterator[tuple[LogLine, int]]:
    """Each complete entry from `start` on, and where the next one begins; one that a crash has torn is left out."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(start)
        for text in file:
            if not text.endswith(b"\n"):
                return
            start += len(text)
            with contextlib.suppress(ValueError):
                entry = json.loads(text)
                data = entry["log"].encode("utf-8", "surrogateescape")
                yield LogLine(parse_time(entry["time"]), entry["stream"], data), start


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of a time such as a log entry has.

    >>> parse_time("1970-01-01T00:00:01.000000002Z")
    1000000002
    """
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
