"""Pulls by processes of their own: together, interrupted, killed at chosen points, and the pulls after those."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.containers import until
from tests.integration.faulty_proxy import Answer, Fault, FaultyProxy, Wire, cut, dripping, faulty_proxy
from tests.integration.pull_scene import CHUNK, CONFIG, LAYER, NEW, TAG, TOP, Scene, upload
from tests.integration.registry_fixture import running_registry
from tests.integration.workers import killed_at, points_of
from tests.unit.image.fake_server import serving

pytestmark = [pytest.mark.root, pytest.mark.needs("docker-registry")]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProxy]:
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        upload(registry.host)
        with faulty_proxy(registry.host) as proxy:
            yield proxy


@pytest.fixture
def scene(proxy: FaultyProxy, state_root: Path) -> Iterator[Scene]:
    proxy.behave()
    with serving() as other:
        yield Scene(proxy, other, state_root)
    proxy.behave()


@contextmanager
def pulling(scene: Scene) -> Iterator[subprocess.Popen[str]]:
    """A process that pulls the image, as a user does."""
    command = [sys.executable, "-m", "dockmagic", "pull", scene.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The process' status and what it said on standard error."""
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def check_complete(scene: Scene) -> None:
    """Fail unless the image is there, whole, and nothing is under way."""
    with scene.store() as store:
        image = store.images.get(scene.name)
        store.check_new(image)
        store.check()
        digests = {image.id, image.manifest_digest, *(layer.digest for layer in image.manifest.layers)}
        assert store.contents().blobs == {digest.hex for digest in digests}


def test_two_at_the_same_time_and_a_cut(scene: Scene) -> None:
    """Both wait for one fetch, which breaks off and is taken up again."""
    scene.proxy.on(LAYER, cut(CHUNK + 1), 1)
    scene.proxy.on(LAYER, dripping(20_000, 0.02))
    with pulling(scene) as one, pulling(scene) as two:
        assert [end(process)[0] for process in (one, two)] == [0, 0]
    ranges = [request.headers.get("range") for request in scene.proxy.requests if request.path.endswith(LAYER)]
    assert ranges == [None, f"bytes={CHUNK + 1}-"]
    check_complete(scene)


def test_the_other_one_takes_over_from_one_that_is_killed(scene: Scene) -> None:
    go = threading.Event()

    def halfway(wire: Wire, answer: Answer) -> None:
        go.wait(30)
        at(CHUNK, first, signal.SIGKILL)(wire, answer)

    scene.proxy.on(LAYER, halfway, 1)
    with pulling(scene) as first:
        until(lambda: scene.proxy.count(LAYER) == 1)
        with pulling(scene) as second:
            until(lambda: scene.proxy.count(TAG) == 2)
            go.set()
            assert (end(first)[0], end(second)[0]) == (-signal.SIGKILL, 0)
    assert scene.proxy.count(LAYER) == 2
    with scene.store() as store:
        store.images.workspaces.collect()  # as the next engine does
    check_complete(scene)


def at(after: int, process: subprocess.Popen[str], number: signal.Signals) -> Fault:
    """The client gets this signal when so many bytes of the body are sent; the rest follows if it is still there."""

    def fault(wire: Wire, answer: Answer) -> None:
        sent = len(answer.head) + after
        whole = answer.head + answer.body
        wire.write(whole[:sent])
        wire.pause(0.05)
        os.kill(process.pid, number)
        wire.pause(0.05)
        wire.write(whole[sent:])

    return fault


PLACES = {
    "manifest": (TAG, 10),
    "config": (CONFIG, 10),
    "beginning": (LAYER, 0),
    "middle": (LAYER, CHUNK + 99),
    "end": (LAYER, len(NEW.layers[0]) - 1),
    "top": (TOP, 5),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("place", PLACES)
def test_a_pull_after_one_that_was_ended(scene: Scene, place: str, number: signal.Signals) -> None:
    path, after = PLACES[place]
    with pulling(scene) as process:
        scene.proxy.on(path, at(after, process, number), 1)
        status, errors = end(process)
    assert "Traceback" not in errors
    if number is signal.SIGINT:
        assert status == 130
        assert list((scene.directory / "tmp").iterdir()) == []
    else:
        assert status == -number
    with scene.store() as store:
        assert store.images.list_images() == []
    with pulling(scene) as process:
        assert end(process)[0] == 0
    check_complete(scene)


def test_a_pull_that_is_killed_while_it_changes_the_store(scene: Scene, tmp_path: Path) -> None:
    """At some of the points where files are made, renamed, removed or locked."""
    work = f"engine.images.pull({scene.name!r})"
    points = points_of(tmp_path / "counted", work)
    for point in range(3, points, max(1, points // 8)):
        assert killed_at(scene.directory, work, point)
        with scene.store() as store:
            names = [str(each) for image in store.images.list_images() for each in image.references]
            assert names in ([], [scene.name])
    with pulling(scene) as process:
        assert end(process)[0] == 0
    check_complete(scene)
