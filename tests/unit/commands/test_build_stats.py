from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dockmagic.builder.history import BuildHistory, BuildRecord, StepRecord
from dockmagic.commands.build_stats import BuildStats
from dockmagic.commands.catalogue import by_name, find
from dockmagic.database import Database
from dockmagic.errors import InvalidOption, NotFound
from dockmagic.events import StepState
from tests.unit.commands.calling import call

IMAGE_ID = "sha256:" + "ab" * 32


def step(number: int, state: StepState = StepState.DONE, stage: str = "", **values: Any) -> StepRecord:
    return StepRecord(number, f"RUN echo {number}", state, number, stage, **values)


def build(identifier: str, *steps: StepRecord, tags: tuple[str, ...] = (), began_ns: int = 1) -> BuildRecord:
    return BuildRecord(identifier, "n", "Dockerfile", began_ns, tags, 2_500_000_001, IMAGE_ID, steps=steps)


class Images:
    """Images of which there is one, by one name."""

    def get(self, name: str) -> SimpleNamespace:
        if name != "here":
            raise NotFound("image", name)
        return SimpleNamespace(id=IMAGE_ID)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Any]:
    """What the command needs of an engine."""
    database = Database(tmp_path / "state.db")
    yield SimpleNamespace(database=database, images=Images())
    database.close()


def test_the_table(engine: Any) -> None:
    ran = step(2, stage="web", started_ns=500_000_001, duration_ns=1_200_000_000, cpu_ns=9 * 10**8)
    first = step(1, StepState.CACHED, "web", started_ns=1)
    BuildHistory(engine.database).record(build("c0ffee", first, ran, tags=("app:latest",)))
    stats = call(engine, "build-stats", "app")
    assert isinstance(stats, BuildStats)
    assert str(stats).splitlines() == [
        "app:latest · abababababab · 2 steps · 2.5 s · build c0ffee",
        "STEP   STAGE   STATE    START    TIME     CPU      PEAK MEMORY   INSTRUCTION",
        "1      web     cached   0.00 s   0.00 s   0.00 s                 RUN echo 1",
        "2      web     done     0.50 s   1.2 s    0.90 s                 RUN echo 2",
    ]
    assert "STAGE" not in str(BuildStats(build("c0ffee", step(1))))


def test_which_build(engine: Any) -> None:
    with pytest.raises(InvalidOption, match="no build is remembered yet"):
        call(engine, "build-stats")
    history = BuildHistory(engine.database)
    history.record(build("abcdef", step(1), began_ns=5))
    history.record(build("123456", step(1), tags=("abc:latest",), began_ns=3))
    found = {name: call(engine, "build-stats", *name.split()).build.id for name in ("", "abc", "abcd", "1234", "here")}
    assert found == {"": "abcdef", "abc": "123456", "abcd": "abcdef", "1234": "123456", "here": "abcdef"}
    for name in ("nonsuch", "NOT A NAME"):
        with pytest.raises(NotFound, match=f"no such build: {name}"):
            call(engine, "build-stats", name)


def test_the_figure_is_made_once() -> None:
    stats = BuildStats(build("c0ffee", step(1, started_ns=1, duration_ns=10**9)))
    assert stats.plot() is stats.figure
    assert stats._repr_png_().startswith(b"\x89PNG")


def test_a_verb_of_build_is_no_word_after_it() -> None:
    command = by_name()["build-stats"]
    assert (command.names, command.magic) == (("build-stats",), "build_stats")
    assert find(["build", "stats"])[0].verb == "build"
