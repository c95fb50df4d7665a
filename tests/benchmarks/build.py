"""What a build costs, here and with buildah and podman.

    python -m tests.benchmarks.build [--rounds 4] [--json FILE]

All build the same Dockerfiles with the same contexts in turn, one after the other in each round, in one mount
namespace; over four rounds each comes once after each other one. Nothing is removed here before the end, because ext4
makes files slowly for minutes after a removal; but the others remove files of their own, to the cost of whoever comes
next, and what was removed on this disk before counts too: wait some minutes, or set TMPDIR to a tmpfs. Prints a table
of medians with their ratios to buildah's and writes all times as JSON; it passes or fails on no time.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks import peers, private_view
from tests.benchmarks.builders import BASE, PROGRAMS, REFERENCE, Build, builders
from tests.benchmarks.results import write

PAUSE_S: Final = 0.2  # longer than it takes until a file counts as settled
RESULTS: Final = Path(__file__).parent / "results" / "build.json"
STEPS: Final = 10
STAGES: Final = 4
FILES: Final = 10_000
FILE_BYTES: Final = 10_000
TARGETS: Final = {"10 RUN steps": 0.1, "10 RUN steps, cached": 0.05, "COPY of 10,000 files, 100 MB": 0.7}
_WORK: Final = "dd if=/dev/zero bs=1M count=40 2>/dev/null | sha256sum"  # about 0.3 s

Times = dict[str, dict[str, list[float]]]  # milliseconds by case and builder


@dataclass(frozen=True)
class Case:
    """Something to build; `prepare` makes it what it is to be in a round, given the round's number."""

    name: str
    context: Path
    prepare: Callable[[Path, int], None]


def cases(directory: Path) -> Iterator[Case]:
    """All cases, their contexts made."""
    yield Case("10 RUN steps", _made(directory / "steps"), _steps)
    yield Case("10 RUN steps, cached", _made(directory / "cached"), lambda context, _: _steps(context, -1))
    many = _made(directory / "many")
    _fill(many)
    yield Case("COPY of 10,000 files, 100 MB", many, _all_new)
    yield Case("COPY of 10,000 files, one changed", many, _one_new)
    yield Case("COPY of 10,000 files, cached", many, lambda context, _: None)
    yield Case("4 independent stages", _made(directory / "stages"), _stages)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _steps(context: Path, number: int) -> None:
    """Small steps one after the other."""
    steps = (f"RUN echo {number} > /file-{step}\n" for step in range(STEPS))
    (context / "Dockerfile").write_text(f"FROM {BASE}\n{''.join(steps)}")


def _fill(context: Path) -> None:
    """Make files, half of which compress well."""
    source = random.Random(1)
    (context / "Dockerfile").write_text(f"FROM {BASE}\nCOPY files /files/\n")
    for number in range(FILES):
        path = context / "files" / str(number // 100) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        half = source.randbytes(FILE_BYTES // 2)
        path.write_bytes(half + f"{number}\n".encode() * (len(half) // len(f"{number}\n")))


def _all_new(context: Path, number: int) -> None:
    """One file is another and all have another time, so nobody can know their content from before."""
    _one_new(context, number)
    for path in (context / "files").rglob("*"):
        os.utime(path)


def _one_new(context: Path, number: int) -> None:
    (context / "files" / "0" / "0").write_text(f"{number} {time.time_ns()}")


def _stages(context: Path, number: int) -> None:
    """Stages that need nothing of each other, and one that collects what they made."""
    text = "".join(
        f"FROM {BASE} AS stage-{stage}\nRUN echo {number} {stage}; {_WORK} > /sum\nRUN {_WORK} > /sum-{stage}\n"
        for stage in range(STAGES)
    )
    copies = (f"COPY --from=stage-{stage} /sum-{stage} /\n" for stage in range(STAGES))
    (context / "Dockerfile").write_text(f"{text}FROM {BASE}\n{''.join(copies)}")


def timed(build: Build, context: Path) -> float:
    """Milliseconds that a build takes."""
    begin = time.perf_counter()
    build(context)
    return (time.perf_counter() - begin) * 1000


def measure(directory: Path, rounds: int) -> Times:
    """All times; every file is made below the directory. The first round is not counted."""
    from dockmagic.engine import Engine

    with Engine(directory / "state") as engine:
        found = builders(engine, directory)
        wanted = list(cases(directory))
        times: Times = {case.name: {name: [] for name in found} for case in wanted}
        for number in range(rounds + 1):
            for case in wanted:
                case.prepare(case.context, number)
                for name in order(list(found), number):
                    os.sync()
                    time.sleep(PAUSE_S)
                    taken = timed(found[name], case.context)
                    if number:
                        times[case.name][name].append(taken)
    return times


def order(names: Sequence[str], number: int) -> list[str]:
    """The order of a round: over as many rounds as there are names, each comes once after each other one.

    That holds for an even number of them. Source: E. J. Williams, designs balanced for the effects of what came before.
    """
    count = len(names)
    zigzag = [place // 2 if place % 2 == 0 else count - 1 - place // 2 for place in range(count)]
    return [names[(number + place) % count] for place in zigzag]


def table(times: Times) -> str:
    """The medians case by case, quickest first, and how they compare to buildah's."""
    lines = []
    for case, by_builder in times.items():
        target = f", at most {TARGETS[case]} wanted" if case in TARGETS else ""
        lines.append(f"{case}{target}")
        medians = {name: statistics.median(values) for name, values in by_builder.items()}
        for name in sorted(medians, key=medians.__getitem__):
            values, ratio = by_builder[name], medians[name] / medians[REFERENCE]
            spread = f"{min(values):.0f}–{max(values):.0f}"
            lines.append(f"  {name:<24} {medians[name]:>8.1f} ms {spread:>13} {ratio:>7.3f}")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--json", type=Path, default=RESULTS)
    args = parser.parse_args()
    if missing := peers.missing(PROGRAMS):
        raise SystemExit(f"{', '.join(missing)} missing; `make packages` installs them")
    private_view.enter()
    with private_view.scratch() as directory, private_view.no_new_cgroups():
        times = measure(directory, args.rounds)
    print(table(times))
    write(args.json, milliseconds=times, targets=TARGETS)


if __name__ == "__main__":
    main()
