from __future__ import annotations

import pytest

from dockmagic.commands import stats
from dockmagic.commands.stats import Stats
from dockmagic.commands.table import Table
from dockmagic.errors import InvalidOption, NotFound
from dockmagic.runtime.samples import Sample
from dockmagic.runtime.series import Series
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeContainer, FakeContainers, FakeEngine

MIB = 1 << 20


class Watched(FakeContainer):
    """A container that has used half a core and 8 MiB for a second; it may have ended."""

    cpu_limit: float | None = 0.5
    memory_limit_bytes: int | None = 64 * MIB
    ended = False
    watching = False

    def watch(self) -> Series:
        """Ten samples that are there at once."""
        self.watching = True
        series = Series()
        for tick in range(11):
            series.append(Sample(tick * 10**8, tick * 5 * 10**7, memory_bytes=8 * MIB, pids=2))
        if self.ended:
            series.ended.set()
        return series

    def unwatch(self) -> None:
        """Note it."""
        self.watching = False


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the times short."""
    monkeypatch.setattr(stats, "_ROW_INTERVAL_S", 0.1)
    monkeypatch.setattr(stats, "_ONE_SHOT_S", 0.01)


def engine_with(*containers: Watched) -> FakeEngine:
    return FakeEngine(FakeContainers({container.name: container for container in containers}))


def test_sampling_shows_tables_and_gives_what_was_used() -> None:
    container, console = Watched(), FakeConsole()
    result = call(engine_with(container), "stats", "--for", "250ms", "burn", console=console)
    assert isinstance(result, Stats)
    assert 2 <= len(console.shown) <= 4
    assert result["burn"].cpu_cores == pytest.approx([0.5] * 10)
    assert str(result) == (
        "burn: CPU 50.0 % of one core on average, 50.0 % at most; memory 8 MiB at the end, 8 MiB at most"
    )
    assert result.figure is result.figure
    assert result._repr_png_().startswith(b"\x89PNG")
    assert not container.watching


def test_one_table_of_the_present_use() -> None:
    table = call(engine_with(Watched()), "stats", "--no-stream")
    assert isinstance(table, Table)
    assert table.rows[0][1:] == ("burn", "50.00%", "8MiB / 64MiB", "12.50%", "0B / 0B", "2")


def test_without_a_limit_the_hosts_memory_counts() -> None:
    container = Watched()
    container.memory_limit_bytes = None
    table = call(engine_with(container), "stats", "--no-stream", "burn")
    assert table.rows[0][3].startswith("8MiB / ")
    assert not table.rows[0][3].endswith("64MiB")


def test_sampling_ends_with_the_last_container() -> None:
    container = Watched()
    container.ended = True
    result = call(engine_with(container), "stats", "burn")
    assert len(result["burn"].time_s) == 10


def test_an_interrupt_is_the_end_of_sampling_without_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    container = Watched()
    assert isinstance(call(engine_with(container), "stats", "burn"), Stats)
    with pytest.raises(KeyboardInterrupt):
        call(engine_with(container), "stats", "--for", "10s", "burn")
    assert not container.watching


def test_what_cannot_be_sampled() -> None:
    with pytest.raises(InvalidOption, match="no container runs"):
        call(FakeEngine(), "stats")
    with pytest.raises(NotFound):
        call(FakeEngine(), "stats", "nothing")
    with pytest.raises(InvalidOption, match="--for: '0' is no time"):
        call(FakeEngine(), "stats", "--for", "0")


def test_formats() -> None:
    def shown(text: str) -> str:
        return str(call(engine_with(Watched()), "stats", "--no-stream", "--format", text, "burn"))

    assert shown("{{.Name}}: {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}") == "burn: 50.00% 8MiB / 64MiB 2"
    assert shown(r"table {{.Name}}\t{{.MemPerc}}").splitlines()[1].split() == ["burn", "12.50%"]
    with pytest.raises(InvalidOption, match="names no field"):
        shown("{{.Colour}}")
