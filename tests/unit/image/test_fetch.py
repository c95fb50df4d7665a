from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.errors import DigestMismatch, RegistryError
from dockmagic.events import Event, PullProgress
from dockmagic.image.fetch import AT_ONCE, Fetcher
from dockmagic.image.registry import RegistryClient
from dockmagic.image.retry import Retry, Timeouts
from dockmagic.image.store import ImageStore
from dockmagic.oci.descriptor import OCI_LAYER, Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.fake_server import FakeServer, Reply, Request

DATA = bytes(range(256)) * 4


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    client = RegistryClient(retry=Retry(attempts=3, base_s=0.001), timeouts=Timeouts(2.0, 5.0))
    yield client
    client.close()


class Bench:
    """A fetcher's surroundings, and what was reported."""

    def __init__(self, server: FakeServer, client: RegistryClient, store: ImageStore) -> None:
        self.server = server
        self.client = client
        self.store = store
        self.events: list[PullProgress] = []

    def on_event(self, event: Event) -> None:
        assert isinstance(event, PullProgress)
        self.events.append(event)

    def fetcher(self) -> Fetcher:
        return Fetcher(Reference.parse(f"{self.server.host}/team/app:1"), self.client, self.store, self.on_event)

    def blob(self, data: bytes) -> Descriptor:
        """A blob that the registry has."""
        return Descriptor(OCI_LAYER, self.server.add_blob("team/app", data), len(data))

    def path(self, descriptor: Descriptor) -> str:
        return f"/v2/team/app/blobs/{descriptor.digest}"

    def ranges(self, descriptor: Descriptor) -> list[str]:
        requests = [each for each in self.server.requests if each.path == self.path(descriptor)]
        return [each.headers.get("Range", "") for each in requests]


@pytest.fixture
def bench(server: FakeServer, client: RegistryClient, store: ImageStore, tmp_path: Path) -> Iterator[Bench]:
    yield Bench(server, client, store)
    assert list((tmp_path / "root" / "tmp").iterdir()) == []


def ranged(data: bytes, cut: int) -> Reply:
    """The rest of the data from `cut` on."""
    headers = {"Content-Range": f"bytes {cut}-{len(data) - 1}/{len(data)}"}
    return Reply(206, data[cut:], headers)


def test_blobs_begin_in_the_order_in_which_they_were_asked_for(bench: Bench) -> None:
    blobs = [bench.blob(bytes([number]) * 100) for number in range(6)]
    lock, begun, most, running = threading.Lock(), [], [0], [0]
    gate = threading.Barrier(AT_ONCE)

    def answer(request: Request) -> Reply:
        with lock:
            begun.append(request.path)
            running[0] += 1
            most[0] = max(most[0], running[0])
        gate.wait(10)
        with lock:
            running[0] -= 1
        number = [bench.path(blob) for blob in blobs].index(request.path)
        return Reply(200, bytes([number]) * 100)

    for blob in blobs:
        bench.server.routes[bench.path(blob)] = answer
    with bench.fetcher() as fetcher:
        for arrival in [fetcher.start(blob) for blob in blobs]:
            arrival.wait()
    paths = [bench.path(blob) for blob in blobs]
    assert (set(begun[:AT_ONCE]), set(begun[AT_ONCE:])) == (set(paths[:AT_ONCE]), set(paths[AT_ONCE:]))
    assert most[0] == AT_ONCE
    assert all(bench.store.has_blob(blob.digest) for blob in blobs)


def test_the_same_blob_is_fetched_once_and_one_that_is_here_not_at_all(bench: Bench) -> None:
    here = bench.store.put_blob(b"here", OCI_LAYER)
    blob = bench.blob(DATA)
    with bench.fetcher() as fetcher:
        assert fetcher.start(blob) is fetcher.start(blob)
        fetcher.start(here).wait()
        fetcher.start(blob).wait()
    assert bench.server.paths() == [bench.path(blob)]


def test_one_that_broke_off_is_resumed_where_it_was(bench: Bench) -> None:
    blob = bench.blob(DATA)
    replies = iter([Reply(200, DATA[:300], length=len(DATA)), ranged(DATA, 300)])
    bench.server.routes[bench.path(blob)] = lambda request: next(replies)
    with bench.fetcher() as fetcher:
        fetcher.start(blob).wait()
    assert bench.ranges(blob) == ["", "bytes=300-"]
    assert [event.status for event in bench.events] == ["downloading", "retrying", "downloading", "downloaded"]
    assert bench.events[1].current_bytes == 300
    assert "broke off" in bench.events[1].detail


def test_progress_gives_new_patience(bench: Bench) -> None:
    """Many more breaks than tries, but each time some bytes come."""
    blob = bench.blob(DATA)

    def answer(request: Request) -> Reply:
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        whole = ranged(DATA, start) if start else Reply(200, DATA)
        return Reply(whole.status, whole.body[:100], whole.headers, length=len(whole.body))

    bench.server.routes[bench.path(blob)] = answer
    with bench.fetcher() as fetcher:
        fetcher.start(blob).wait()
    assert len(bench.ranges(blob)) == len(DATA) // 100 + 1


def test_parts_that_don_t_fit_together_are_fetched_anew(bench: Bench) -> None:
    blob = bench.blob(DATA)
    wrong = ranged(bytes(len(DATA)), 300)
    replies = iter([Reply(200, DATA[:300], length=len(DATA)), wrong, Reply(200, DATA)])
    bench.server.routes[bench.path(blob)] = lambda request: next(replies)
    with bench.fetcher() as fetcher:
        arrival = fetcher.start(blob)
        arrival.wait()
        assert arrival.spoilt
    assert bench.ranges(blob) == ["", "bytes=300-", ""]
    assert bench.store.read_blob(blob.digest) == DATA


def test_a_failure_of_one_reaches_those_who_wait_for_others(bench: Bench) -> None:
    blobs = [bench.blob(bytes([number]) * 100) for number in range(5)]
    bench.server.routes[bench.path(blobs[1])] = Reply(404)

    def slow(request: Request) -> Reply:
        bench.server.stopping.wait(0.2)
        return Reply(404)

    for blob in blobs[2:]:
        bench.server.routes[bench.path(blob)] = slow
    with bench.fetcher() as fetcher:
        arrivals = [fetcher.start(blob) for blob in blobs]
        with pytest.raises(RegistryError, match=blobs[1].digest.short):
            arrivals[4].wait()
    assert not bench.store.has_blob(blobs[4].digest)


def test_leaving_by_an_error_ends_even_what_is_silent_and_what_waits(bench: Bench) -> None:
    bench.server.keep_open = True
    blobs = [bench.blob(bytes([number]) * 100) for number in range(AT_ONCE + 3)]
    for blob in blobs:
        bench.server.routes[bench.path(blob)] = Reply(200, b"", length=100)

    def leave() -> None:
        with bench.fetcher() as fetcher:
            for blob in blobs:
                fetcher.start(blob)
            while len(bench.server.requests) < AT_ONCE:
                bench.server.stopping.wait(0.005)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert not any(bench.store.has_blob(blob.digest) for blob in blobs)
    bench.server.keep_open = False
    good = bench.blob(b"after")
    with bench.fetcher() as fetcher:
        fetcher.start(good).wait()


def test_a_wrong_blob_is_not_kept(bench: Bench) -> None:
    blob = Descriptor(OCI_LAYER, Digest.of(b"right"), 5)
    bench.server.routes[bench.path(blob)] = Reply(200, b"wrong")
    with pytest.raises(DigestMismatch):
        with bench.fetcher() as fetcher:
            fetcher.start(blob).wait()
    assert not bench.store.has_blob(blob.digest)
    assert bench.ranges(blob) == [""]
