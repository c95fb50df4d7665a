"""Prunes beside builds and pulls, prunes and builds that are killed, the limit of the build cache: whole processes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.events import BuildStep, Event, StepState
from dockmagic.oci.options import RunOptions
from tests.integration.containers import run
from tests.integration.registry_fixture import Registry, make_layout, running_registry
from tests.integration.workers import check_whole, finish, killed_at, points_of, until_ready, worker

pytestmark = pytest.mark.root

CACHED, DONE = StepState.CACHED, StepState.DONE
PRUNE_ALL = """
    engine.upkeep.prune_containers()
    engine.upkeep.prune_images(all=True)
    engine.upkeep.prune_cache(all=True)
"""
PRUNE = """
    engine.upkeep.prune_containers()
    engine.upkeep.prune_images()
    engine.upkeep.prune_cache(all=True)
"""
BUILD = """
    engine.build('FROM busybox\\nRUN echo 1 > /one\\nWORKDIR /two\\nRUN echo 2 > /two/file', tags=['app'])
"""
TIMES = 9  # kills, spread over the work


def ends(engine: Engine, dockerfile: str, *tags: str) -> list[StepState]:
    """How each step of a build ended."""
    states: dict[int, StepState] = {}

    def note(event: Event) -> None:
        if isinstance(event, BuildStep):
            states[event.number] = event.state

    engine.build(dockerfile, tags=list(tags), on_event=note)
    return [states[number] for number in sorted(states)]


def prune_all(engine: Engine) -> bool:
    """Prune all that there is; whether something was held."""
    upkeep = engine.upkeep
    upkeep.prune_containers()
    held = upkeep.prune_images(all=True).held
    return upkeep.prune_cache(all=True).held or held


@pytest.mark.usefixtures("busybox")
def test_a_prune_takes_nothing_from_a_running_build(engine: Engine, state_root: Path) -> None:
    building = """
        def pause(event):
            if isinstance(event, BuildOutput) and b'step' in event.data:
                wait()
        engine.build('''FROM busybox
        RUN echo 1 > /one && echo step
        RUN cat /one && echo 2 > /two && echo step
        RUN cat /one /two && echo step''', tags=['app'], on_event=pause)
    """
    with worker(state_root, building) as process:
        for _ in range(3):
            until_ready(process)
            assert prune_all(engine)
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        finish(process)
    check_whole(state_root)
    assert run(engine, "cat", "/one", "/two", image="app").stdout == "1\n2\n"
    assert not prune_all(engine)
    assert engine.images.ls() == []
    assert list((state_root / "layers").iterdir()) == []


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with running_registry(tmp_path / "registry") as registry:
        yield registry


@pytest.mark.usefixtures("busybox")
@pytest.mark.needs("docker-registry", "skopeo")
def test_a_prune_takes_nothing_from_a_running_pull(
    engine: Engine, state_root: Path, registry: Registry, tmp_path: Path
) -> None:
    image = engine.build("FROM busybox\nRUN echo 1 > /one\nRUN echo 2 > /two", tags=["app"])
    registry.push(make_layout(image, engine.store, tmp_path / "layout"), "app", "latest")
    assert not prune_all(engine)
    pulling = f"""
        def pause(event):
            if isinstance(event, PullProgress) and event.status in ('extracting', 'complete'):
                wait()
        engine.images.pull('{registry.host}/app', on_event=pause)
    """
    with worker(state_root, pulling) as process:
        for _ in range(6):  # two for each layer
            until_ready(process)
            prune_all(engine)
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        finish(process)
    check_whole(state_root)
    assert run(engine, "cat", "/one", "/two", image=f"{registry.host}/app").stdout == "1\n2\n"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state root with busybox, a dangling image, layers that only the cache keeps, and a cache mount."""
    root = tmp_path_factory.mktemp("filled") / "root"
    with Engine(root) as engine:
        engine.images.bootstrap("busybox")
        engine.build("FROM busybox\nRUN --mount=type=cache,target=/c echo 1 > /c/f\nRUN echo 2 > /two", tags=["app"])
        engine.build("FROM busybox\nRUN echo 3 > /three", tags=["app"])
        gone = engine.build("FROM busybox\nRUN echo 4 > /four", tags=["gone"])
        engine.images.rm(gone.id)
    return root


def copied(root: Path, target: Path) -> Path:
    """A copy of a state root, with a container that was never started."""
    subprocess.run(["cp", "-a", root, target], check=True)
    with Engine(target) as engine:
        engine.containers.create("busybox", RunOptions(name="stopped"))
    return target


@pytest.mark.parametrize("work", [PRUNE, PRUNE_ALL], ids=["prune", "prune-all"])
def test_a_prune_that_is_killed_leaves_a_store_that_is_whole(filled: Path, tmp_path: Path, work: str) -> None:
    points = points_of(copied(filled, tmp_path / "whole"), work)
    assert points > TIMES
    for time in range(TIMES):
        root = copied(filled, tmp_path / f"root-{time}")
        assert killed_at(root, work, 1 + time * (points - 1) // (TIMES - 1))
        check_whole(root)
        with Engine(root) as engine:
            if work is PRUNE:
                assert run(engine, "echo", "here").stdout == "here\n"
                engine.build("FROM busybox\nRUN test ! -e /two && echo 2 > /two", tags=["next"])
                assert run(engine, "cat", "/two", image="next").stdout == "2\n"
            prune_all(engine)
            assert engine.images.ls() == []
            assert engine.containers.ls(all=True) == []
        left = [path for name in ("layers", "blobs", "tmp", "cache") for path in (root / name).rglob("*")]
        assert [path for path in left if path.parent.name != "blobs"] == []


def test_a_build_that_is_killed_is_built_right_the_next_time(tmp_path: Path) -> None:
    base = tmp_path / "base"
    with Engine(base) as engine:
        engine.images.bootstrap("busybox")
    points = points_of(copied(base, tmp_path / "whole"), BUILD)
    for time in range(TIMES):
        root = copied(base, tmp_path / f"root-{time}")
        killed_at(root, BUILD, 1 + time * (points - 1) // (TIMES - 1))
        check_whole(root)
        with Engine(root) as engine:
            engine.build("FROM busybox\nRUN echo 1 > /one\nWORKDIR /two\nRUN echo 2 > /two/file", tags=["app"])
            assert run(engine, "cat", "/one", "/two/file", image="app").stdout == "1\n2\n"
        check_whole(root)


def big(number: int) -> str:
    """A Dockerfile with a layer of a megabyte that is nobody else's."""
    return f"FROM busybox\nRUN head -c 1000000 /dev/urandom > /big-{number}"


def make_cache(engine: Engine, number: int) -> None:
    """Build `big`, leave it to the cache alone, and let an hour pass."""
    engine.build(big(number), tags=["big"])
    engine.images.rm("big")
    with engine.database.transaction() as transaction:
        transaction.execute("UPDATE build_cache SET used_ns = used_ns - 3600 * 1000000000")


def test_the_limit_takes_the_oldest_and_never_what_the_build_used(state_root: Path) -> None:
    with Engine(state_root, build_cache_limit=10**9) as engine:
        engine.images.bootstrap("busybox")
        for number in range(4):
            make_cache(engine, number)
    with Engine(state_root, build_cache_limit=4_500_000) as engine:  # two, each with its archive
        assert ends(engine, big(0), "used") == [CACHED, CACHED]
        for number, how in {3: CACHED, 2: CACHED, 0: CACHED, 1: DONE}.items():
            assert ends(engine, big(number), f"image-{number}") == [CACHED, how]
    check_whole(state_root)
    with Engine(state_root, build_cache_limit=1) as engine:
        assert ends(engine, big(7), "seven") == [CACHED, DONE]
        engine.images.rm("seven")
        assert ends(engine, big(7), "seven") == [CACHED, CACHED], "what was used within a minute stays"


def test_the_cache_outlives_its_process_and_belongs_to_all(state_root: Path) -> None:
    with Engine(state_root) as engine:
        engine.images.bootstrap("busybox")
    text = "FROM busybox\nRUN head -c 8 /dev/urandom | md5sum > /random"
    with worker(state_root, f"engine.build({text!r}, tags=['one'])\nwait()") as process:
        until_ready(process)
        with Engine(state_root) as engine:
            assert ends(engine, text, "two") == [CACHED, CACHED]
            assert engine.store.get("two").config.diff_ids == engine.store.get("one").config.diff_ids
        finish(process)
    with Engine(state_root) as engine:
        assert ends(engine, text, "three") == [CACHED, CACHED]
