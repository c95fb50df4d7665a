"""Prints the table of conformance as Markdown: `python -m tests.conformance.run_table > table.md`.

Each row has flags of `docker run`, what was looked at, what dockmagic shows, what podman shows, and where they differ,
why. With `--docker` a daemon that DOCKER_HOST names is asked as well, in one more column.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.conformance import scene
from tests.conformance.run_case import Case
from tests.conformance.run_cases import SCENES
from tests.conformance.scene import Side

_MOST_SHOWN: Final = 120


def rows(sides: Sequence[Side], only: str = "") -> Iterator[tuple[Case, list[str]]]:
    """Every case, and what each of the engines shows, in which all of them work at the same time."""
    with ThreadPoolExecutor(len(sides)) as threads:
        for found in SCENES:
            if only and not any(only in str(case) for case in found.cases):
                continue
            seen = threads.map(found.perform, sides)
            yield from ((case, list(column)) for case, *column in zip(found.cases, *seen, strict=True))


def verdict(case: Case, ours: str, theirs: str) -> str:
    """How what both show is to be judged."""
    if ours == theirs:
        return "same"
    if case.differs and case.differs.holds() and re.fullmatch(case.differs.shown, ours, re.DOTALL):
        return "explained"
    return "**differs**"


def markdown(found: Sequence[tuple[Case, list[str]]], names: Sequence[str]) -> Iterator[str]:
    """The lines of the table, and how many rows of each kind there are."""
    yield f"| # | flags | look | {' | '.join(names)} | |"
    yield "|---" * (len(names) + 4) + "|"
    kinds: Counter[str] = Counter()
    for number, (case, seen) in enumerate(found, 1):
        kind = verdict(case, seen[0], seen[1])
        kinds[kind] += 1
        why = f"{kind}: {case.differs.why}" if kind == "explained" and case.differs else kind
        shown = seen[:1] if kind == "same" and len(set(seen)) == 1 else seen
        cells = [_code(case.flags), _code(case.look), *map(_code, shown), *("=" for _ in seen[len(shown) :])]
        yield f"| {number} | {' | '.join(cells)} | {why} |"
    yield ""
    yield f"{len(found)} cases: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _code(text: str) -> str:
    """A cell of the table."""
    short = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
    escaped = short.replace("\r", "␍").replace("\n", "⏎").replace("|", "\\|").replace("`", "'")
    return f"`{escaped}`" if escaped else "–"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docker", action="store_true", help="ask Docker, too")
    parser.add_argument("--only", default="", help="cases with this text only")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="p") as directory, ExitStack() as stack:
        place = scene.make_place(Path(directory))
        sides: list[Side] = [stack.enter_context(scene.dockmagic(place)), stack.enter_context(scene.podman(place))]
        if args.docker:
            sides.append(stack.enter_context(scene.docker(place)))
        found = list(rows(sides, args.only))
    for line in markdown(found, [side.name for side in sides]):
        print(line)


if __name__ == "__main__":
    main()
