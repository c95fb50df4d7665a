"""Logs of real containers: rotation, drivers, and a writer that is as fast as it can be."""

from __future__ import annotations

import io
import threading

import pytest

from dockmagic.commands.output import CappedStreams
from dockmagic.engine import Engine
from dockmagic.errors import Unsupported
from dockmagic.events import ContainerOutput, Event
from dockmagic.oci.options import LogOptions, RunOptions
from tests.integration.containers import run, until

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

WORD = "0123456789abcdef" * 63
MEGABYTES = 200


def writer(megabytes: int) -> tuple[str, ...]:
    """A command that writes lines of a kilobyte as fast as it can, and another one at the end."""
    return ("sh", "-c", f"yes {WORD} | head -c {megabytes << 20}; echo; echo the end")


def test_a_full_log_is_put_aside(engine: Engine) -> None:
    options = RunOptions(
        name="chatty",
        command=("sh", "-c", "for i in $(seq 2000); do echo line $i; done"),
        log=LogOptions(most_bytes=20_000, most_files=3),
    )
    container = engine.containers.run_detached("busybox", options)
    followed: list[bytes] = []
    reader = threading.Thread(target=lambda: followed.extend(line.data for line in container.logs(follow=True)))
    reader.start()
    container.wait()
    reader.join()
    kept = [line.data for line in container.logs()]
    every = [b"line %d\n" % number for number in range(1, 2001)]
    assert kept == every[-len(kept) :]
    assert 400 < len(kept) < 1500
    assert followed[-1] == b"line 2000\n"
    assert [line.data for line in container.logs(tail=2)] == every[-2:]
    files = sorted(path.name for path in (engine.root / "containers" / container.id).glob("log*"))
    assert files == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]


def test_a_log_that_is_not_kept(engine: Engine) -> None:
    options = RunOptions(command=("echo", "unheard"), log=LogOptions("none"))
    container = engine.containers.run_detached("busybox", options)
    container.wait()
    assert container.inspect()["HostConfig"]["LogConfig"] == {"Type": "none", "Config": {}}
    with pytest.raises(Unsupported, match="does not support reading"):
        container.logs()
    assert run(engine, "echo", "heard", log=LogOptions("none")).stdout == "heard\n"


def test_a_fast_writer_loses_nothing_and_the_cell_shows_head_and_tail(engine: Engine) -> None:
    shown, size = io.StringIO(), 0
    streams = CappedStreams(shown, shown)

    def on_event(event: Event) -> None:
        nonlocal size
        if isinstance(event, ContainerOutput):
            size += len(event.data)
            streams.write(event.stream, event.data)

    engine.containers.run("busybox", RunOptions(name="fast", command=writer(MEGABYTES)), on_event=on_event)
    streams.close()
    expected = (MEGABYTES << 20) + len("\nthe end\n")
    assert size == expected
    text = shown.getvalue()
    assert text.endswith("the end\n")
    assert "left out" in text
    assert len(text) < 200_000
    logged = 0
    for line in engine.containers.get("fast").logs():
        logged += len(line.data)
    assert (logged, line.data) == (expected, b"the end\n")
    until(lambda: not engine.containers.get("fast").running)
