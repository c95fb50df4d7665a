"""A container's log, read: lines with their stream and time, and those still to come."""

from __future__ import annotations

import calendar
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a container wrote: `data` ends with a newline unless the line was cut or is the last one."""

    time_ns: int
    stream: str
    data: bytes


def read(path: Path, *, tail: int | None = None) -> Iterator[LogLine]:
    """Lines of the log, oldest first; only the last `tail` of them. A log that isn't there has none."""
    lines = follow(path, running=lambda: False)
    yield from lines if tail is None else deque(lines, maxlen=tail)


def follow(path: Path, *, running: Callable[[], bool], tail: int | None = None) -> Iterator[LogLine]:
    """Lines of the log, and new ones as long as the container is `running`."""
    position = 0
    if tail is not None:
        position = path.stat().st_size if path.exists() else 0
        yield from deque(_parsed(path, 0, position), maxlen=tail)
    while True:
        alive = running()  # asked before reading, or the last lines could be missed
        for line, end in _entries(path, position):
            position = end
            yield line
        if not alive:
            return
        time.sleep(POLL_S)


def _parsed(path: Path, start: int, end: int) -> Iterator[LogLine]:
    return (line for line, position in _entries(path, start) if position <= end)


def _entries(path: Path, start: int) -> Iterator[tuple[LogLine, int]]:
    """Each complete entry from `start` on, and where the next one begins."""
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(start)
        for text in file:
            if not text.endswith(b"\n"):
                return
            start += len(text)
            entry = json.loads(text)
            data = entry["log"].encode("utf-8", "surrogateescape")
            yield LogLine(parse_time(entry["time"]), entry["stream"], data), start


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of a time such as a log entry has.

    >>> parse_time("1970-01-01T00:00:01.000000002Z")
    1000000002
    """
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
