"""How much a container can write while it is logged, here and with podman, whose conmon writes its log.

    python -m tests.benchmarks.logs [--megabytes 100] [--rounds 5] [--json FILE]

The same lines of 60 and 1000 bytes come from a file in the image. All write in turn in one loop, in one mount
namespace: into a log only, into a log and to who looks on, and through a pipe to `cat` without any container. Prints
medians in MB/s of what was written, and writes all as JSON; it passes or fails on no speed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks import peers, private_view
from tests.benchmarks.results import write
from tests.benchmarks.start import Run, in_turn

if TYPE_CHECKING:
    from dockmagic.engine import Engine

RESULTS: Final = Path(__file__).parent / "results" / "logs.json"
WIDTHS: Final = (60, 1000)
DRIVERS: Final = ("json-file", "k8s-file")


def dockmagic(engine: Engine, file: Path) -> Mapping[str, Run]:
    """Runs in a container here, without and with somebody who looks on."""
    from dockmagic.oci.options import RunOptions
    from dockmagic.oci.spec import Mount

    mount = Mount("/lines", "bind", str(file), ("rbind", "ro"))
    options = RunOptions(command=("cat", "/lines"), mounts=(mount,))

    def detached() -> None:
        container = engine.containers.run_detached("busybox", options)
        container.wait()
        container.rm()

    def attached() -> None:
        engine.containers.get(engine.containers.run("busybox", options).container_id).rm()

    return {"dockmagic, log": detached, "dockmagic, log and reader": attached}


def podman(command: list[str], file: Path) -> Mapping[str, Run]:
    """Runs in podman's containers; crun starts them and conmon moves what they write."""

    def run(driver: str) -> Run:
        argv = [*command, "run", "--rm", "--network", "none", *peers.ULIMITS, "--log-driver", driver]
        argv += ["-v", f"{file}:/lines:ro", "bench", "cat", "/lines"]
        return lambda: quietly(argv)

    return {f"podman, {driver} and reader": run(driver) for driver in DRIVERS}


def quietly(argv: list[str]) -> None:
    """Run a program that has to end well; what it writes is read, and forgotten."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.read(1 << 16):
            pass
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}")


def piped(file: Path, directory: Path) -> Run:
    """The lines through a pipe into a plain file."""
    return lambda: quietly(["sh", "-c", f"cat {file} | cat > {directory}/plain"])


def measure(directory: Path, megabytes: int, rounds: int) -> dict[str, list[float]]:
    """Speeds in MB/s by name."""
    from dockmagic.engine import Engine

    found: dict[str, list[float]] = {}
    with Engine(directory / "state") as engine:
        image = engine.images.bootstrap("busybox")
        rootfs = Path(engine.snapshots.lower(image.config.diff_ids)[0])
        command = peers.podman_store(rootfs, directory)
        for width in WIDTHS:
            file = directory / f"lines-{width}"
            file.write_bytes((b"x" * (width - 1) + b"\n") * (megabytes * 10**6 // width))
            runs = {**dockmagic(engine, file), **podman(command, file), "cat, no container": piped(file, directory)}
            for name, times in in_turn(runs, rounds).items():
                found[f"{name}, lines of {width}"] = [megabytes * 1000 / taken for taken in times]
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=RESULTS)
    args = parser.parse_args()
    if missing := peers.missing(("podman", "conmon")):
        raise SystemExit(f"{', '.join(missing)} missing; `make packages` installs them")
    private_view.enter()
    with private_view.scratch() as directory, private_view.no_new_cgroups():
        speeds = measure(directory, args.megabytes, args.rounds)
    for name, values in speeds.items():
        print(f"{name:45} {statistics.median(values):6.0f} MB/s  ({min(values):.0f}–{max(values):.0f})")
    write(args.json, megabytes_per_second=speeds)


if __name__ == "__main__":
    main()
