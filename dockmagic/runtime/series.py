"""The last samples of one container, and what they say: use per time instead of counters."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dockmagic.runtime.samples import Sample

CAPACITY: Final = 6_000  # ten minutes at 10 Hz, 530 KB
_NAMES: Final = tuple(field.name for field in fields(Sample))
_FIRST_ROWS: Final = 128


@dataclass(frozen=True, slots=True)
class Usage:
    """One value an interval between two samples, oldest first; all arrays have the same length.

    `time_s`: the interval's end; `cpu_cores`: 1.0 for one whole core; `throttled`: the share of the time that the CPU
    limit took, 0 to 1; `memory_bytes`: without droppable cache, at the end; `oom_kills`: in the interval; `pids`: tasks
    at the end.
    """

    time_s: NDArray[np.float64]
    cpu_cores: NDArray[np.float64]
    throttled: NDArray[np.float64]
    memory_bytes: NDArray[np.float64]
    oom_kills: NDArray[np.float64]
    pids: NDArray[np.float64]


class Series:
    """A ring of samples: one thread appends, any may read. `ended` is set when no more will come."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.ended = threading.Event()
        self._capacity = capacity
        self._rows = np.zeros((min(capacity, _FIRST_ROWS), len(_NAMES)), dtype=np.int64)
        self._count = 0  # of all that were ever appended
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return min(self._count, self._capacity)

    def append(self, sample: Sample) -> None:
        """Add a sample; beyond the capacity the oldest goes."""
        row = [getattr(sample, name) for name in _NAMES]
        with self._lock:
            if self._count == len(self._rows) < self._capacity:
                self._rows = np.resize(self._rows, (min(2 * self._count, self._capacity), len(_NAMES)))
            self._rows[self._count % self._capacity] = row
            self._count += 1

    def rows(self) -> NDArray[np.int64]:
        """A copy of the samples, oldest first: a column for each field of Sample, in its order."""
        with self._lock:
            if self._count <= self._capacity:
                return self._rows[: self._count].copy()
            return np.roll(self._rows, -(self._count % self._capacity), axis=0)

    def last(self) -> Sample | None:
        """The newest sample."""
        with self._lock:
            if not self._count:
                return None
            return Sample(*self._rows[(self._count - 1) % self._capacity].tolist())

    def usage(self, origin_ns: int | None = None) -> Usage:
        """What was used between the samples; `time_s` counts from `origin_ns`, by default the first sample here."""
        return usage(self.rows(), origin_ns)


def usage(rows: NDArray[np.int64], origin_ns: int | None = None) -> Usage:
    """What was used between the samples in `rows`, one row a sample as `Series.rows` gives them."""
    column = {name: rows[:, index] for index, name in enumerate(_NAMES)}
    time_ns = column["time_ns"]
    if origin_ns is None:
        origin_ns = int(time_ns[0]) if len(time_ns) else 0
    elapsed_ns = np.maximum(np.diff(time_ns), 1)
    working_set = np.maximum(column["memory_bytes"] - column["inactive_file_bytes"], 0)
    return Usage(
        time_s=(time_ns[1:] - origin_ns) / 1e9,
        cpu_cores=np.diff(column["cpu_ns"]) / elapsed_ns,
        throttled=np.minimum(np.diff(column["throttled_ns"]) / elapsed_ns, 1.0),
        memory_bytes=working_set[1:].astype(np.float64),
        oom_kills=np.diff(column["oom_kills"]).astype(np.float64),
        pids=column["pids"][1:].astype(np.float64),
    )
