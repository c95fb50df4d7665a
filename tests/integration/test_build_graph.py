"""Stages that are built side by side with real commands, what is measured of them, and how they end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dockmagic.builder.history import BuildHistory, BuildRecord
from dockmagic.engine import Engine
from dockmagic.errors import RunFailed
from dockmagic.events import BuildStep, Event, StepState
from dockmagic.oci.options import RunOptions
from tests.integration.containers import run

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

STAGES = 4
WAITING = "".join(f"FROM busybox AS s{n}\nRUN echo {n} > /{n}; sleep 1\n" for n in range(STAGES))
WAITING += "FROM busybox\n" + "".join(f"COPY --from=s{n} /{n} /\n" for n in range(STAGES))
INTERRUPTED = """
import os
import sys
from pathlib import Path
from dockmagic.engine import Engine
from dockmagic.events import BuildOutput

def say(event):
    if isinstance(event, BuildOutput):
        os.write(1, event.data)

with Engine(Path(sys.argv[1])) as engine:
    try:
        engine.build(sys.argv[2], on_event=say)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def last_build(engine: Engine) -> BuildRecord:
    return BuildHistory(engine.database).get()


def test_stages_do_not_wait_for_each_other(engine: Engine) -> None:
    began = time.monotonic()
    image = engine.build(WAITING, tags=["side"])
    took_s = time.monotonic() - began
    runs = [step for step in last_build(engine).steps if step.text.startswith("RUN")]
    assert took_s < sum(step.duration_ns for step in runs) / 1e9 - 1
    assert run(engine, "cat", "/0", "/1", "/2", "/3", image="side").stdout.split() == ["0", "1", "2", "3"]
    assert engine.build(WAITING).id == image.id


def test_the_result_does_not_depend_on_it(engine: Engine) -> None:
    text = WAITING.replace("sleep 1", "true")
    together = engine.build(text, no_cache=True, build_args={"SOURCE_DATE_EPOCH": "1000"}, rewrite_timestamp=True)
    alone = engine.build(
        text, no_cache=True, build_args={"SOURCE_DATE_EPOCH": "1000"}, rewrite_timestamp=True, parallel=False
    )
    assert together.manifest_digest == alone.manifest_digest


def test_what_a_command_used_is_measured(engine: Engine) -> None:
    burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    fill = "head -c 60000000 /dev/zero | tail -c 60000000 > /dev/null"
    engine.build(f"FROM busybox\nRUN {burn}\nRUN {fill}\nRUN true\n")
    burned, filled, nothing = last_build(engine).steps[1:]
    assert burned.cpu_ns > 20_000_000 > nothing.cpu_ns
    assert burned.cpu_ns < burned.duration_ns * 2
    assert filled.peak_memory_bytes > 50_000_000 > burned.peak_memory_bytes
    assert len({step.container_id for step in (burned, filled, nothing)}) == 3


def test_a_container_says_what_it_used(engine: Engine) -> None:
    command = ("sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
    result = engine.containers.run("busybox", RunOptions(command=command, remove=True))
    assert result.cpu_ns > 20_000_000
    assert 0 < result.peak_memory_bytes < 30_000_000


def test_a_failure_ends_the_other_stages_at_once(engine: Engine) -> None:
    text = "FROM busybox AS slow\nRUN sleep 60\nFROM busybox AS bad\nRUN sleep 0.3; exit 3\nFROM busybox\n"
    text += "COPY --from=slow / /a/\nCOPY --from=bad / /b/\n"
    events: list[Event] = []
    began = time.monotonic()
    with pytest.raises(RunFailed, match="exit code: 3"):
        engine.build(text, on_event=events.append)
    assert time.monotonic() - began < 20
    ends = {event.number: event.state for event in events if isinstance(event, BuildStep)}
    assert (ends[2], ends[4]) == (StepState.CANCELED, StepState.FAILED)
    assert last_build(engine).error.startswith("Dockerfile:4: process")


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_ends_all_stages(engine: Engine, state_root: Path, times: int) -> None:
    stages = "".join(
        f"FROM busybox AS s{n}\nRUN trap 'echo heard; exit 1' INT; echo up{n}; sleep 60 & wait\n" for n in range(3)
    )
    text = stages + "FROM busybox\n" + "".join(f"COPY --from=s{n} / /{n}/\n" for n in range(3))
    command = [sys.executable, "-c", INTERRUPTED, str(state_root), text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert {process.stdout.readline().strip() for _ in range(3)} == {"up0", "up1", "up2"}
        began = time.monotonic()
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        output = process.stdout.read().split()
        assert process.wait() == 0
    assert output[-1] == "interrupted"
    assert time.monotonic() - began < 8
    assert {step.state for step in last_build(engine).steps if step.text.startswith("RUN")} == {StepState.CANCELED}


def test_what_a_failed_command_left_can_be_looked_at(engine: Engine) -> None:
    with pytest.raises(RunFailed):
        engine.build("FROM busybox\nENV WHO=you\nRUN echo half > /made; exit 2\n")
    failed = last_build(engine).steps[-1]
    assert failed.image is not None
    assert failed.image.config.env_map()["WHO"] == "you"
    top = engine.snapshots.lower(failed.image.diff_ids)[0]
    assert (top / "made").read_text() == "half\n"
