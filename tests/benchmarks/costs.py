"""What a run costs: time on the clock, time on the processors, and memory at its peak.

Programs are measured by a small process of their own, because a child's peak begins with that of the process which
made it. Source: getrusage(2), wait4(2).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_METER: Final = """
import json, os, sys, time
silence = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
begin = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=silence)
_, status, used = os.wait4(pid, 0)
wall = time.perf_counter() - begin
cpu = used.ru_utime + used.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), wall * 1e3, cpu * 1e3, used.ru_maxrss]))
"""


@dataclass(frozen=True)
class Cost:
    """Of a run and all the processes in it; `peak_mb` is that of the largest, 0 where it isn't known."""

    wall_ms: float
    cpu_ms: float
    peak_mb: float = 0.0


def spawned(argv: Sequence[str | Path], env: Mapping[str, str]) -> Cost:
    """The cost of a program, which must end well."""
    meter = [sys.executable, "-I", "-S", "-c", _METER, *argv]
    done = subprocess.run(meter, env=env, capture_output=True, check=False)
    status, wall_ms, cpu_ms, peak_kb = json.loads(done.stdout or "[null, 0, 0, 0]")
    if status != 0:
        raise SystemExit(f"{' '.join(map(str, argv))} ended with {status}: {done.stderr.decode()[-2000:]}")
    return Cost(wall_ms, cpu_ms, peak_kb / 1e3)


def called(function: Callable[[], object]) -> Cost:
    """The cost of a call in this process, all threads together."""
    before, begin = os.times(), time.perf_counter()
    function()
    wall, after = time.perf_counter() - begin, os.times()
    return Cost(wall * 1e3, sum(after[:4]) * 1e3 - sum(before[:4]) * 1e3)
