"""Events of real containers and images: which, in which order, and seen from another process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.journal import Entry
from dockmagic.oci.options import ExecOptions, RunOptions
from dockmagic.oci.volumes import VolumeMount
from tests.integration.containers import execute, run, until

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


def entries(engine: Engine, kind: str = "container") -> list[Entry]:
    return [entry for entry in engine.journal.entries(until_ns=time.time_ns()) if entry.type == kind]


def actions(engine: Engine, kind: str = "container") -> list[str]:
    return [entry.action for entry in entries(engine, kind)]


def test_a_container_that_removes_itself(engine: Engine) -> None:
    assert run(engine, "sh", "-c", "exit 3").status == 3
    until(lambda: "destroy" in actions(engine))
    assert actions(engine) == ["create", "start", "die", "destroy"]
    died = entries(engine)[2]
    assert (died.attributes["exitCode"], died.attributes["image"]) == ("3", "busybox")


def test_the_life_of_a_container(engine: Engine) -> None:
    options = RunOptions(name="first", command=("sleep", "60"), labels={"a": "b"}, stop_signal="KILL")
    container = engine.containers.run_detached("busybox", options)
    container.pause()
    container.unpause()
    container.rename("second")
    execute(container, "sh", "-c", "exit 4")
    until(lambda: "exec_die" in actions(engine))
    container.restart()
    container.stop()
    container.rm()
    assert actions(engine) == [
        *("create", "start", "pause", "unpause", "rename"),
        *("exec_create: sh -c exit 4", "exec_start: sh -c exit 4", "exec_die"),
        *("kill", "die", "stop", "start", "restart", "kill", "die", "stop", "destroy"),
    ]
    found = {entry.action: entry for entry in entries(engine)}
    assert found["rename"].attributes["oldName"] == "/first"
    assert found["exec_die"].attributes["exitCode"] == "4"
    assert found["exec_die"].attributes["execID"] == found["exec_start: sh -c exit 4"].attributes["execID"]
    assert {entry.attributes["name"] for entry in entries(engine)[5:]} == {"second"}
    assert all(entry.attributes["a"] == "b" and entry.id == container.id for entry in entries(engine))


def test_want_of_memory_is_an_event(engine: Engine) -> None:
    container = engine.containers.run_detached(
        "busybox", RunOptions(command=("sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M"), memory_bytes=8 << 20)
    )
    container.wait()
    assert actions(engine)[-2:] == ["oom", "die"]


def test_a_start_that_fails_is_none(engine: Engine) -> None:
    engine.containers.create("busybox", RunOptions(command=("nonsense",)))
    with pytest.raises(Exception, match="nonsense"):
        engine.containers.ls(all=True)[0].start()
    assert actions(engine) == ["create"]


def test_images(engine: Engine, tmp_path: Path) -> None:
    engine.images.tag("busybox", "other")
    with (tmp_path / "archive").open("wb") as file:
        engine.images.save(["other"], file)
    engine.images.rm("other")
    engine.images.rm("busybox")
    with (tmp_path / "archive").open("rb") as file:
        engine.images.load(file)
    assert actions(engine, "image") == ["tag", "save", "untag", "untag", "delete", "load"]


def test_another_process_sees_them_as_they_happen(engine: Engine, state_root: Path) -> None:
    words = [
        "events",
        "--since",
        "1m",
        "--until",
        "-1m",
        "--filter",
        "event=die",
        "--format",
        "{{.Actor.Attributes.name}}",
    ]
    with subprocess.Popen([sys.executable, "-m", "dockmagic", *words], stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        run(engine, "true", name="burn")
        assert watcher.stdout.readline() == "burn\n"
        watcher.terminate()


def test_want_of_memory_is_told_while_the_container_runs(engine: Engine) -> None:
    container = engine.containers.run_detached(
        "busybox", RunOptions(command=("sleep", "64"), memory_bytes=16 << 20, name="short")
    )
    try:
        until(lambda: (engine.root / "containers" / container.id / "state.json").exists())
        assert container.exec(ExecOptions(("sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M"))) == 137
        until(lambda: "oom" in actions(engine))
        state = container.inspect()["State"]
        assert (state["Running"], state["OOMKilled"]) == (True, True)
        assert actions(engine).count("oom") == 1
    finally:
        container.rm(force=True)
    assert actions(engine).count("oom") == 1


def test_volumes_come_and_go_with_their_containers(engine: Engine) -> None:
    engine.volumes.create("data")
    asked = RunOptions(
        command=("true",), volumes=(VolumeMount("/data", "data"), VolumeMount("/own", implied=True)), remove=True
    )
    container = engine.containers.run("busybox", asked).container_id
    until(lambda: actions(engine, "volume").count("destroy") == 1)
    engine.volumes.rm("data")
    named = [entry for entry in entries(engine, "volume") if entry.id == "data"]
    assert [entry.action for entry in named] == ["create", "mount", "unmount", "destroy"]
    assert named[1].attributes == {
        "container": container,
        "destination": "/data",
        "driver": "local",
        "propagation": "",
        "read/write": "true",
    }
    assert actions(engine, "volume")[:3] == ["create", "create", "mount"]
    order = [entry.action for entry in engine.journal.entries(until_ns=time.time_ns())]
    assert order.index("mount") < order.index("start") < order.index("die") < order.index("unmount")
