"""A container's log, read: lines with their stream and time, and those still to come."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from dockmagic.rotation import Reader

POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a container wrote: `data` ends with a newline unless the line was cut or is the last one."""

    time_ns: int
    stream: str
    data: bytes


def lines(
    path: Path,
    running: Callable[[], bool] | None = None,
    tail: int | None = None,
    since_ns: int = 0,
    until_ns: int | None = None,
) -> Iterator[LogLine]:
    """Lines of the log with those put aside, oldest first: of the last `tail` those between the two times.

    With `running` new ones, too, as long as that is true and `until_ns` isn't over. A log that isn't there has none.
    """
    with Reader(path, tail) as reader:
        while True:
            alive = running is not None and running()  # asked before reading, or the last lines could be missed
            for text in reader.lines():
                line = _parsed(text)
                if line is None or line.time_ns < since_ns:
                    continue
                if until_ns is not None and line.time_ns > until_ns:
                    return
                yield line
            if not alive or (until_ns is not None and time.time_ns() > until_ns):
                return
            time.sleep(POLL_S)


def _parsed(text: bytes) -> LogLine | None:
    """The line of an entry; None for one that a crash has torn."""
    try:
        entry = json.loads(text)
        data = entry["log"].encode("utf-8", "surrogateescape")
        return LogLine(parse_time(entry["time"]), entry["stream"], data)
    except ValueError:
        return None


@functools.lru_cache(maxsize=8)  # lines that were written at once have one time
def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of a time such as a log entry has.

    >>> parse_time("1970-01-01T00:00:01.000000002Z")
    1000000002
    """
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
