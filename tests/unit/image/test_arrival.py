from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dockmagic.errors import RegistryError
from dockmagic.image.arrival import Arrival, ArrivingSource
from dockmagic.oci.descriptor import OCI_LAYER, Descriptor
from dockmagic.oci.digest import Digest

DATA = bytes(range(200))


@pytest.fixture
def arrival() -> Iterator[Arrival]:
    arrival = Arrival(Descriptor(OCI_LAYER, Digest.of(DATA), len(DATA)))
    yield arrival
    arrival.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "blob"


def grow(arrival: Arrival, path: Path, size: int) -> None:
    """Bring as many bytes as make this many; a reader may be at those before them."""
    with path.open("ab") as file:
        file.write(DATA[file.tell() : size])
    arrival.begin(path)
    arrival.grow(size)


def heard(arrival: Arrival, sizes: list[int]) -> ArrivingSource:
    return ArrivingSource(arrival, sizes.append)


def read_all(source: ArrivingSource) -> bytes:
    data = b""
    while piece := source.read(64):
        data += piece
    return data


def test_what_is_there_is_read_at_once(arrival: Arrival, path: Path) -> None:
    grow(arrival, path, 100)
    sizes: list[int] = []
    source = heard(arrival, sizes)
    assert source.read(60) == DATA[:60]
    assert source.read(60) == DATA[60:100]
    assert (source.taken, sizes) == (100, [60, 100])


def test_a_reader_waits_for_the_rest_and_for_the_end(arrival: Arrival, path: Path) -> None:
    grow(arrival, path, 100)
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(read_all, heard(arrival, []))
        grow(arrival, path, 200)
        with pytest.raises(TimeoutError):
            reading.result(0.05)  # all of it is there, but not yet known to be right
        arrival.finish(path)
        assert reading.result(10) == DATA
    arrival.wait()
    assert arrival.stored


def test_a_failure_reaches_all_who_wait(arrival: Arrival, path: Path) -> None:
    grow(arrival, path, 100)
    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read_all, heard(arrival, [])) for _ in range(2)]
        waiting = threads.submit(arrival.wait)
        arrival.fail(RegistryError("the first"))
        arrival.fail(RegistryError("another"))
        errors = [waiting.exception(10), *(reader.exception(10) for reader in readers)]
    assert [str(error) for error in errors] == ["the first"] * 3


def test_what_is_stored_fails_no_more(arrival: Arrival, path: Path) -> None:
    path.write_bytes(DATA)
    arrival.finish(path)
    arrival.fail(RegistryError("of another blob"))
    arrival.wait()
    assert read_all(heard(arrival, [])) == DATA


def test_one_that_begins_again_is_read_on_where_the_reader_was(arrival: Arrival, path: Path) -> None:
    grow(arrival, path, 100)
    source = heard(arrival, [])
    assert source.read(80) == DATA[:80]
    arrival.grow(0)
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(read_all, source)
        path.write_bytes(b"")
        with path.open("ab", buffering=0) as file:
            for start, end in ((0, 50), (50, 120), (120, 200)):
                file.write(DATA[start:end])
                arrival.grow(end)
        arrival.finish(path)
        assert reading.result(10) == DATA[80:]
    assert not arrival.spoilt


def test_one_that_was_wrong_says_so(arrival: Arrival, path: Path) -> None:
    grow(arrival, path, 100)
    arrival.spoil()
    path.write_bytes(DATA)
    arrival.finish(path)
    assert (arrival.spoilt, arrival.stored) == (True, True)
    assert read_all(heard(arrival, [])) == DATA


def test_a_reader_can_be_abandoned_by_another_thread(arrival: Arrival, path: Path) -> None:
    grow(arrival, path, 10)
    source = heard(arrival, [])
    timer = threading.Timer(0.05, source.abandon)
    timer.start()
    assert read_all(source) == DATA[:10]
    timer.join()


def test_closing_twice_does_nothing(arrival: Arrival, path: Path) -> None:
    grow(arrival, path, 10)
    arrival.close()
    arrival.close()
