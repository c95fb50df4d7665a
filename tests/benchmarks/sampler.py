"""What the sampler costs: the CPU time of its thread for some containers at some rate, as a share of one core.

Makes that many control groups, each with an idle process; needs root. Prints a table, or JSON with --json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import statistics
import threading
import time
from collections.abc import Iterator

from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.cgroup.hierarchy import detect
from dockmagic.runtime.sampler import Sampler
from dockmagic.runtime.samples import Reader


@contextlib.contextmanager
def idle_groups(count: int) -> Iterator[list[Group]]:
    """Control groups with a sleeping process in each."""
    hierarchies = detect()
    prefix = f"benchmark-{secrets.token_hex(4)}"
    groups = [Group(hierarchies, f"{prefix}-{number}") for number in range(count)]
    children = []
    try:
        for group in groups:
            group.create()
            child = os.fork()
            if child == 0:
                group.attach_self()
                signal.pause()
            children.append(child)
        while not all(group.pids() for group in groups):
            time.sleep(0.01)
        yield groups
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for group in groups:
            group.remove()


def measure(groups: list[Group], rate_hz: float, seconds: float) -> dict[str, float]:
    """CPU time of the sampler's thread as a share of one core, and the samples that it took."""
    sampler = Sampler(interval_s=1 / rate_hz)
    series = [sampler.add(group.name, Reader(group.paths())) for group in groups]
    thread = next(thread for thread in threading.enumerate() if thread.name == "dockmagic-sampler")
    assert thread.ident is not None
    clock = time.pthread_getcpuclockid(thread.ident)
    before, begun = time.clock_gettime(clock), time.monotonic()
    time.sleep(seconds)
    share = (time.clock_gettime(clock) - before) / (time.monotonic() - begun)
    sampler.close()
    return {"core_share": share, "samples_each": statistics.median(map(len, series))}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--containers", type=int, default=20)
    parser.add_argument("--rate", type=float, default=10.0, help="samples a second")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with idle_groups(options.containers) as groups:
        found = measure(groups, options.rate, options.seconds)
    if options.json:
        print(json.dumps(vars(options) | found))
    else:
        print(f"{options.containers} containers at {options.rate:g} Hz for {options.seconds:g} s:", end=" ")
        print(f"{100 * found['core_share']:.2f} % of one core, {found['samples_each']:.0f} samples each")


if __name__ == "__main__":
    main()
