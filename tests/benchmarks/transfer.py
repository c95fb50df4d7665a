"""What it costs to pull, push, save and load an image, here and with podman and skopeo.

    python -m tests.benchmarks.transfer [--rounds 4] [--only WORD] [--tidy] [--images DIRECTORY] [--json FILE]

All move the same images, one after the other in each round, from and to a registry on this machine; over four rounds
each comes once after each other one. Every pull and load goes to a store of its own, and nothing is removed before the
end, because ext4 makes files slowly for minutes after a removal. That takes 6 GB a round. To leave the disk out, set
TMPDIR to a tmpfs (other than /dev/shm, which is hidden here), and tidy up after each move. Prints medians and their
ratios to podman's, of time on the clock and on the processors, and the most memory that a process took; writes all of
it as JSON. It passes or fails on nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final

from tests.benchmarks import peers, private_view
from tests.benchmarks.build import PAUSE_S, order
from tests.benchmarks.costs import Cost
from tests.benchmarks.results import write
from tests.benchmarks.transfer_images import EXTREME, REAL, layouts
from tests.benchmarks.transfer_tools import PROGRAMS, REFERENCE, Tool, tools
from tests.integration.registry_fixture import Registry, running_registry

IMAGES: Final = Path("/var/tmp/dockmagic-benchmark-images")
RESULTS: Final = Path(__file__).parent / "results" / "transfer.json"
TARGETS: Final = {"pull": 0.35, "load": 0.5, "save": 0.5}  # of podman's time, by the first word of a case
ARCHIVES: Final = ("dockmagic", REFERENCE)  # whose archives are loaded: the first has compressed layers
PEAK_TARGET_MB: Final = 150

Costs = dict[str, dict[str, list[Cost]]]  # by case and tool
Move = Callable[[Tool], Cost]


class Bench:
    """A registry, the tools, and a directory for all that they make."""

    def __init__(self, directory: Path, registry: Registry, tidy: bool) -> None:
        self._directory = directory
        self._tidy = tidy
        self._registry = registry
        self._tools = {tool.name: tool for tool in tools(directory / "tools")}
        self._made = 0

    def fill(self, images: dict[str, Path]) -> None:
        """Put the images into the registry, and the real ones into a store of each tool and into archives."""
        for name in REAL:
            self._registry.push(images[name], "bench", _tag(name))
        for tool in self._tools.values():
            tool.prepare(self._home(tool))
            for name in REAL:
                tool.pull(self._home(tool), self._image(name))
        for name in REAL:
            for owner in ARCHIVES:
                tool = self._tools[owner]
                tool.save(self._home(tool), self._image(name), self._archive(owner, name))

    def round(self, number: int, name: str, only: str) -> Iterator[tuple[str, str, Cost]]:
        """Move an image in all ways: the case, the tool, and its cost."""
        for case, move in self._moves(name).items():
            for tool in order(list(self._tools), number) if only in f"{case}, {name}" else ():
                yield f"{case}, {name}", tool, move(self._tools[tool])
                if self._tidy:
                    self._remove()

    def extreme(self, name: str, layout: Path) -> Cost:
        """The cost of a pull of ours in a process of its own, of an image that is put into the registry first."""
        self._registry.push(layout, "bench", _tag(name))
        return self._pull(name, self._tools["dockmagic"])

    def _remove(self) -> None:
        """Remove what was made last."""
        place = self._directory / str(self._made)
        if place.is_dir():
            private_view.unmount_below(place)
            shutil.rmtree(place)
        else:
            place.unlink()

    def _moves(self, name: str) -> dict[str, Move]:
        return {
            "pull": partial(self._pull, name),
            **{f"load from {owner}": partial(self._load, name, owner) for owner in ARCHIVES},
            "save": partial(self._save, name),
            "push": partial(self._push, name),
        }

    def _pull(self, name: str, tool: Tool) -> Cost:
        store = self._store(tool)
        return _settled(lambda: tool.pull(store, self._image(name)))

    def _load(self, name: str, owner: str, tool: Tool) -> Cost:
        store = self._store(tool)
        return _settled(lambda: tool.load(store, self._image(name), self._archive(owner, name)))

    def _save(self, name: str, tool: Tool) -> Cost:
        archive = self._place()
        return _settled(lambda: tool.save(self._home(tool), self._image(name), archive))

    def _push(self, name: str, tool: Tool) -> Cost:
        """To a registry that has nothing yet."""
        with running_registry(self._place()) as registry:
            target = f"{registry.host}/bench:{_tag(name)}"
            return _settled(lambda: tool.push(self._home(tool), self._image(name), target))

    def _image(self, name: str) -> str:
        return f"{self._registry.host}/bench:{_tag(name)}"

    def _archive(self, owner: str, name: str) -> Path:
        return self._directory / f"archive-{owner}-{_tag(name)}.tar"

    def _home(self, tool: Tool) -> Path:
        """The store of a tool that has the images."""
        return self._directory / tool.name

    def _store(self, tool: Tool) -> Path:
        """A new store of a tool."""
        store = self._place()
        tool.prepare(store)
        return store

    def _place(self) -> Path:
        """A name for something new."""
        self._made += 1
        return self._directory / str(self._made)


def _tag(name: str) -> str:
    """An image's name as a tag."""
    return name.replace(" ", "-").replace(",", "")


def _settled(move: Callable[[], Cost]) -> Cost:
    """The cost of a move once all that was written before is on the disk."""
    os.sync()
    time.sleep(PAUSE_S)
    return move()


def measure(bench: Bench, images: dict[str, Path], rounds: int, only: str) -> Costs:
    """The costs of all moves whose names hold this word. The first round is not counted."""
    costs: Costs = {}
    for number in range(rounds + 1):
        for name in REAL:
            for case, tool, cost in bench.round(number, name, only):
                if number:
                    costs.setdefault(case, {}).setdefault(tool, []).append(cost)
    for name in EXTREME:
        if only in (case := f"pull, {name}"):
            costs[case] = {"dockmagic": [bench.extreme(name, images[name])]}
    return costs


def table(costs: Costs) -> str:
    """The medians case by case, as they are and compared to podman's."""
    lines = []
    for case, by_tool in costs.items():
        target = TARGETS.get(case.split(" ")[0].rstrip(","))
        lines.append(case + (f", at most {target} of {REFERENCE}'s time wanted" if target else ""))
        lines += _rows(by_tool)
    lines.append(f"\nWanted is a peak below {PEAK_TARGET_MB} MB, whatever the image.")
    return "\n".join(lines)


def _rows(by_tool: dict[str, list[Cost]]) -> Iterator[str]:
    """A line for each tool, the quickest first."""
    medians = {tool: _median(costs) for tool, costs in by_tool.items()}
    reference = medians.get(REFERENCE)
    for tool, cost in sorted(medians.items(), key=lambda item: item[1].wall_ms):
        wall, cpu = (f"{cost.wall_ms:>8.0f} ms", f"{cost.cpu_ms:>8.0f} ms")
        if reference is not None:
            wall += f" {cost.wall_ms / reference.wall_ms:>6.2f}"
            cpu += f" {cost.cpu_ms / reference.cpu_ms:>6.2f}"
        peak = f"{cost.peak_mb:>5.0f} MB" if cost.peak_mb else ""
        yield f"  {tool:<24}{wall}, processors{cpu}  {peak}".rstrip()


def _median(costs: Sequence[Cost]) -> Cost:
    """The median of each part, and the largest peak."""
    wall, cpu = (
        statistics.median(times) for times in zip(*((cost.wall_ms, cost.cpu_ms) for cost in costs), strict=True)
    )
    return Cost(wall, cpu, max(cost.peak_mb for cost in costs))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", default="", help="only the cases with this in their names")
    parser.add_argument("--tidy", action="store_true", help="remove what a move made after it; not on ext4")
    parser.add_argument(
        "--images", type=Path, default=IMAGES, help="where the images are kept, %(default)s if not given"
    )
    parser.add_argument("--json", type=Path, default=RESULTS)
    args = parser.parse_args()
    if missing := peers.missing(PROGRAMS):
        raise SystemExit(f"{', '.join(missing)} missing; `make packages` installs them")
    images = layouts(args.images)
    private_view.enter()
    with private_view.scratch() as directory, running_registry(directory / "registry") as registry:
        bench = Bench(directory, registry, args.tidy)
        bench.fill(images)
        costs = measure(bench, images, args.rounds, args.only)
    print(table(costs))
    values = {
        case: {tool: [asdict(cost) for cost in found] for tool, found in row.items()} for case, row in costs.items()
    }
    write(args.json, costs=values, targets={**TARGETS, "peak_mb": PEAK_TARGET_MB})


if __name__ == "__main__":
    main()
