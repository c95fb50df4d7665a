"""Health checks of real containers: the image's and the user's, what they see, and what becomes of the status."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.oci.health import OFF, SECOND_NS
from dockmagic.oci.image import Healthcheck
from dockmagic.oci.options import RestartPolicy, RunOptions
from tests.integration.containers import execute, until
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeEngine

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

MS = SECOND_NS // 1000
DOCKERFILE = """FROM busybox
RUN echo 'web:x:7:7::/srv:/bin/sh' >> /etc/passwd && mkdir /srv && chown 7:7 /srv
USER web
WORKDIR /srv
ENV WORD=magic
HEALTHCHECK --interval=50ms --retries=2 CMD id -u; pwd; echo $WORD; test -f ok
"""


def detached(engine: Engine, *command: str, image: str = "busybox", **options: object) -> Container:
    asked = RunOptions(command=command or ("sleep", "60"), **options)  # type: ignore[arg-type]
    return engine.containers.run_detached(image, asked)


def health(container: Container) -> dict[str, Any]:
    return cast("dict[str, Any]", container.inspect()["State"].get("Health", {}))


def becomes(container: Container, status: str) -> dict[str, Any]:
    """The health once it has this status."""
    until(lambda: health(container)["Status"] == status and bool(health(container)["Log"]))
    return health(container)


def check(text: str, **values: int) -> Healthcheck:
    return Healthcheck(("CMD-SHELL", text), **{"interval": 50 * MS, "retries": 1, **values})


def command(engine: Engine, *words: str) -> str:
    """What a command line gives."""
    return str(call(cast("FakeEngine", engine), *words))


def actions(engine: Engine, container: Container) -> Sequence[str]:
    return [entry.action for entry in engine.journal.entries(until_ns=time.time_ns()) if entry.id == container.id]


def test_the_image_s_check_tells_of_health_and_illness(engine: Engine) -> None:
    engine.build(DOCKERFILE, tags=["checked"])
    container = detached(engine, image="checked")
    found = becomes(container, "unhealthy")
    assert found["FailingStreak"] >= 2
    last = found["Log"][-1]
    assert (last["ExitCode"], last["Output"]) == (1, "7\n/srv\nmagic\n")
    assert last["Start"] < last["End"]
    execute(container, "touch", "ok")
    assert becomes(container, "healthy")["FailingStreak"] == 0
    assert container.inspect()["Config"]["Healthcheck"]["Interval"] == 50 * MS
    assert command(engine, "ps", "--filter", "health=healthy", "--format", "{{.Status}}").endswith(" (healthy)")
    told = actions(engine, container)
    assert [each for each in told if each.startswith("health_status")] == [
        "health_status: unhealthy",
        "health_status: healthy",
    ]
    assert told[2:5] == [
        "exec_create: /bin/sh -c id -u; pwd; echo $WORD; test -f ok",
        "exec_start: /bin/sh -c id -u; pwd; echo $WORD; test -f ok",
        "exec_die",
    ]
    container.stop(0)
    assert health(container)["Status"] == "healthy"


def test_the_image_s_check_is_changed_or_turned_off(engine: Engine) -> None:
    engine.build(DOCKERFILE, tags=["checked"])
    off = detached(engine, image="checked", healthcheck=OFF)
    changed = engine.containers.create("checked", RunOptions(healthcheck=check("exit 0", retries=0)))
    assert (health(off), off.inspect()["Config"]["Healthcheck"]["Test"]) == ({}, ["NONE"])
    assert changed.inspect()["Config"]["Healthcheck"] == {
        "Test": ["CMD-SHELL", "exit 0"],
        "Interval": 50 * MS,
        "Retries": 2,
    }
    assert command(engine, "ps", "--filter", "health=none", "-q") == off.id[:12]
    off.rm(force=True)


def test_a_check_that_takes_too_long_is_killed_with_all_it_started(engine: Engine) -> None:
    container = detached(engine, healthcheck=check("echo slow; sleep 77; true", timeout=100 * MS, interval=SECOND_NS))
    found = becomes(container, "unhealthy")
    assert (found["Log"][0]["ExitCode"], found["Log"][0]["Output"]) == (
        -1,
        "Health check exceeded timeout (100ms): slow\n",
    )
    assert "sleep 77" not in execute(container, "ps").stdout
    container.rm(force=True)


def test_results_are_limited(engine: Engine) -> None:
    container = detached(engine, healthcheck=check("yes | head -c 9999; exit 1", interval=MS))
    until(lambda: health(container)["FailingStreak"] > 6)
    found = health(container)
    assert len(found["Log"]) == 5
    assert {len(each["Output"]) for each in found["Log"]} == {4096 + len("...")}
    container.rm(force=True)


def test_a_check_that_cannot_start_has_failed(engine: Engine) -> None:
    container = detached(engine, healthcheck=Healthcheck(("CMD", "/nowhere"), interval=20 * MS, retries=1))
    found = becomes(container, "unhealthy")
    assert found["Log"][0]["ExitCode"] == -1
    assert "/nowhere" in found["Log"][0]["Output"]
    container.rm(force=True)


def test_nothing_is_checked_in_a_pause(engine: Engine) -> None:
    container = detached(engine, healthcheck=check("sleep 0.02"))
    becomes(container, "healthy")
    container.pause()
    before = health(container)
    time.sleep(0.3)
    assert health(container) == before
    assert command(engine, "ps", "--format", "{{.Status}}").endswith(" (Paused)")
    container.unpause()
    until(lambda: health(container) != before)
    container.rm(force=True)


def test_a_start_begins_anew_and_failures_while_it_starts_do_not_count(engine: Engine) -> None:
    container = detached(
        engine,
        *("sh", "-c", "while ! test -f /go; do sleep 0.02; done; exit 3"),
        restart=RestartPolicy("on-failure", 1),
        healthcheck=check("test ! -f /go", start_period=60 * SECOND_NS, start_interval=20 * MS),
    )
    becomes(container, "healthy")
    execute(container, "touch", "/go")
    container.wait()
    assert (health(container)["Status"], health(container)["FailingStreak"]) == ("starting", 0)


def test_a_full_disk_costs_results_only(engine: Engine, state_root: Path) -> None:
    container = engine.containers.create(
        "busybox", RunOptions(command=("sleep", "60"), healthcheck=check("echo fine", interval=20 * MS))
    )
    (state_root / "containers" / container.id / "health.json.new").mkdir()  # nothing can be written there
    container.start()
    until(lambda: health(container)["Status"] == "healthy")
    assert health(container)["Log"] == []
    container.rm(force=True)
