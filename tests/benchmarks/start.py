"""What it costs to start `true` in a container and wait for its end, here and with other runtimes.

    python -m tests.benchmarks.start [--rounds 40] [--podman-rounds 6] [--json FILE]

All run in turn in one loop, in one mount namespace, on the same files, from a process that has numpy and matplotlib
loaded as a notebook's kernel does. Before each run there is a pause, in which nothing is measured and sandboxes are
made ready. Prints a table of medians and writes all times as JSON; it passes or fails on no time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks import peers, private_view
from tests.benchmarks.results import write

if TYPE_CHECKING:
    from dockmagic.engine import Engine

PAUSE_S: Final = 0.05
BURST: Final = 20
FIRST_ROUNDS: Final = 5
RESULTS: Final = Path(__file__).parent / "results" / "start.json"
REFERENCES: Final = ("crun run, lean", "crun run, full")

Run = Callable[[], None]
Times = dict[str, list[float]]


def timed(run: Run) -> float:
    """Milliseconds that a run takes."""
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1000


def spawned(command: Callable[[], list[str]]) -> Run:
    """A run of a program; it must end well."""
    silence = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]

    def run() -> None:
        argv = command()
        pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=silence)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise SystemExit(f"{' '.join(argv)} ended with {status}")

    return run


def in_turn(runs: Mapping[str, Run], rounds: int) -> Times:
    """Times of the runs, one after the other in each round; the first round is not counted."""
    times: Times = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            time.sleep(PAUSE_S)
            taken = timed(run)
            if number:
                times[name].append(taken)
    return times


def container(engine: Engine) -> Run:
    """A run of `true` in a container that is removed afterwards."""
    from dockmagic.oci.options import RunOptions

    options = RunOptions(command=("/bin/true",), remove=True)

    def run() -> None:
        result = engine.containers.run("busybox", options)
        if result.exit_status:
            raise SystemExit(f"the container ended with {result.exit_status}")

    return run


def burst(run: Run) -> list[float]:
    """Times of runs without a pause between them, so that sandboxes have to be made on demand."""
    time.sleep(PAUSE_S * 4)
    return [timed(run) for _ in range(BURST)]


def first_containers(root: Path) -> list[float]:
    """Times from opening an engine to the end of its first container, with no launcher there before."""
    from dockmagic.engine import Engine

    times = []
    for _ in range(FIRST_ROUNDS):
        begin = time.perf_counter()
        engine = Engine(root)
        container(engine)()
        times.append((time.perf_counter() - begin) * 1000)
        engine.close()
        time.sleep(1.0)  # the launcher ends
    return times


def executions(engine: Engine) -> list[float]:
    """Times of `true` in a container that runs already."""
    from dockmagic.oci.options import ExecOptions, RunOptions

    target = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "600"), remove=True))
    options = ExecOptions(command=("/bin/true",))
    times = [timed(lambda: _succeed(target.exec(options))) for _ in range(BURST + 1)]
    target.rm(force=True)
    return times[1:]


def _succeed(status: int) -> None:
    if status:
        raise SystemExit(f"the process ended with {status}")


def measure(directory: Path, rounds: int, podman_rounds: int) -> Times:
    """All times in milliseconds, by name; every file is made below the directory."""
    from dockmagic.engine import Engine

    root = directory / "state"
    engine = Engine(root)
    image = engine.images.bootstrap("busybox")
    rootfs = directory / "rootfs"
    subprocess.run(["cp", "-a", engine.snapshots.lower(image.config.diff_ids)[0], rootfs], check=True)
    engine.close()
    times = {"dockmagic, first container of an engine": first_containers(root)}
    engine = Engine(root)
    try:
        runs = {"dockmagic run": container(engine)}
        runs |= {peer.name: spawned(peer.command) for peer in peers.peers(rootfs, directory)}
        times |= in_turn(runs, rounds)
        times["dockmagic run, no pause between"] = burst(runs["dockmagic run"])
        times["crun run, full, no pause between"] = burst(runs["crun run, full"])
        times["dockmagic exec"] = executions(engine)
        if podman_rounds:
            podman = peers.podman(rootfs, directory)
            times |= in_turn({podman.name: spawned(podman.command)}, podman_rounds)
    finally:
        engine.close()
    return times


def table(times: Times) -> str:
    """The medians as a table, quickest first, and how they compare to crun's."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    head = ("", "median ms", "quartiles", "runs", *(f"to {name}" for name in REFERENCES))
    rows = [head]
    for name in sorted(medians, key=medians.__getitem__):
        low, _, high = statistics.quantiles(times[name], n=4)
        ratios = [f"{medians[name] / medians[reference]:.2f}" for reference in REFERENCES]
        rows.append((name, f"{medians[name]:.1f}", f"{low:.1f}–{high:.1f}", str(len(times[name])), *ratios))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--podman-rounds", type=int, default=6, help="0 leaves it out")
    parser.add_argument("--json", type=Path, default=RESULTS)
    args = parser.parse_args()
    if missing := peers.missing():
        raise SystemExit(f"{', '.join(missing)} missing; `make packages` installs them")
    private_view.enter()
    import matplotlib.pyplot
    import numpy

    with private_view.scratch() as directory, private_view.no_new_cgroups():
        times = measure(directory, args.rounds, args.podman_rounds)
    print(table(times))
    loaded = {"numpy": numpy.__version__, "matplotlib": matplotlib.__version__}
    write(args.json, loaded=loaded, milliseconds=times)


if __name__ == "__main__":
    main()
