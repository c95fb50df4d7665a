"""The sampling thread, with plain files in place of control files."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockmagic.runtime.sampler import Sampler
from dockmagic.runtime.samples import Reader, Sample

THREAD = "dockmagic-sampler"


@pytest.fixture
def sampler() -> Iterator[Sampler]:
    sampler = Sampler(interval_s=0.005)
    yield sampler
    sampler.close()
    assert THREAD not in running()


@pytest.fixture
def reader(tmp_path: Path) -> Callable[[], Reader]:
    (tmp_path / "pids.current").write_text("3\n")
    return lambda: Reader({"unified": str(tmp_path)})


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def eventually(done: Callable[[], bool], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_samples_arrive_from_the_first_moment(sampler: Sampler, reader: Callable[[], Reader]) -> None:
    series = sampler.add("one", reader())
    assert len(series) >= 1
    eventually(lambda: len(series) > 3)
    last = series.last()
    assert last is not None
    assert last.pids == 3
    assert not series.ended.is_set()
    assert sampler.series("one") is series


def test_removal_ends_the_series_and_the_thread(sampler: Sampler, reader: Callable[[], Reader]) -> None:
    series = sampler.add("one", reader())
    sampler.remove("one")
    sampler.remove("one")
    assert series.ended.is_set()
    assert sampler.series("one") is None
    eventually(lambda: THREAD not in running())
    count = len(series)
    assert count >= 2  # the first and the last moment
    assert len(sampler.add("one", reader())) == 1


def test_one_thread_for_all(sampler: Sampler, reader: Callable[[], Reader]) -> None:
    found = [sampler.add(str(number), reader()) for number in range(5)]
    eventually(lambda: all(len(series) > 2 for series in found))
    assert running().count(THREAD) == 1
    sampler.remove("3")
    assert [series.ended.is_set() for series in found] == [False, False, False, True, False]


def test_watching_twice_keeps_the_series(sampler: Sampler, reader: Callable[[], Reader]) -> None:
    series = sampler.add("one", reader())
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert sampler.add("one", reader()) is series
    assert len(list(Path("/proc/self/fd").iterdir())) == before


class Vanishing(Reader):
    """A reader whose group goes after two samples."""

    left = 2

    def read(self) -> Sample:
        self.left -= 1
        if self.left < 0:
            raise OSError(19, "No such device")
        return super().read()


def test_a_vanished_group_ends_its_series(sampler: Sampler, reader: Callable[[], Reader], tmp_path: Path) -> None:
    other = sampler.add("other", reader())
    series = sampler.add("one", Vanishing({"unified": str(tmp_path)}))
    assert series.ended.wait(5)
    assert len(series) == 2
    assert not other.ended.is_set()
    assert sampler.series("one") is None


def test_a_group_that_is_gone_already(sampler: Sampler, tmp_path: Path, reader: Callable[[], Reader]) -> None:
    gone = Vanishing({"unified": str(tmp_path)})
    gone.left = 0
    assert sampler.add("one", gone).ended.is_set()
    assert THREAD not in running()


def test_close_ends_everything_and_closes_descriptors(reader: Callable[[], Reader]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    sampler = Sampler(interval_s=0.005)
    found = [sampler.add(str(number), reader()) for number in range(3)]
    sampler.close()
    sampler.close()
    assert THREAD not in running()
    assert all(series.ended.is_set() for series in found)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_rate_is_kept(reader: Callable[[], Reader]) -> None:
    sampler = Sampler(interval_s=0.02)
    series = sampler.add("one", reader())
    time.sleep(0.5)
    sampler.close()
    assert 15 <= len(series) <= 27


def test_a_slow_reader_is_not_made_up_for(tmp_path: Path, reader: Callable[[], Reader]) -> None:
    class Slow(Reader):
        def read(self) -> Sample:
            time.sleep(0.05)
            return super().read()

    reader()
    sampler = Sampler(interval_s=0.01)
    series = sampler.add("one", Slow({"unified": str(tmp_path)}))
    time.sleep(0.3)
    sampler.close()
    assert len(series) <= 8


def test_the_thread_has_the_caller_s_context(sampler: Sampler, tmp_path: Path, reader: Callable[[], Reader]) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen: list[str] = []

    class Curious(Reader):
        def read(self) -> Sample:
            seen.append(variable.get("nothing"))
            return super().read()

    reader()
    variable.set("cell")
    series = sampler.add("one", Curious({"unified": str(tmp_path)}))
    eventually(lambda: len(series) > 2)
    assert set(seen) == {"cell"}


def test_reading_while_another_thread_appends(sampler: Sampler, reader: Callable[[], Reader]) -> None:
    series = sampler.add("one", reader())
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        times = series.rows()[:, 0]
        assert (times[1:] > times[:-1]).all()
