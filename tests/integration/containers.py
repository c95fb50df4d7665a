"""Short ways to run something in a container and look at what it said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.events import ContainerOutput, Event
from dockmagic.oci.options import ExecOptions, RunOptions


@dataclass(frozen=True)
class Outcome:
    """How a process ended and what it wrote."""

    status: int
    stdout: str
    stderr: str


class Collector:
    """Takes events and keeps what was written, apart by stream."""

    def __init__(self) -> None:
        self.streams: dict[str, bytes] = {"stdout": b"", "stderr": b""}

    def __call__(self, event: Event) -> None:
        if isinstance(event, ContainerOutput):
            self.streams[event.stream] += event.data

    def outcome(self, status: int) -> Outcome:
        """What has come together."""
        return Outcome(status, self.streams["stdout"].decode(), self.streams["stderr"].decode())


def run(engine: Engine, *command: str, image: str = "busybox", stdin: int | None = None, **options: Any) -> Outcome:
    """Run a command in a container that is removed afterwards."""
    collector = Collector()
    asked = RunOptions(**{"command": command, "remove": True, **options})
    result = engine.containers.run(image, asked, stdin=stdin, on_event=collector)
    return collector.outcome(result.exit_status)


def shell(engine: Engine, script: str, **options: Any) -> str:
    """What a shell script writes to standard output; it has to end well."""
    outcome = run(engine, "sh", "-c", script, **options)
    assert (outcome.status, outcome.stderr) == (0, ""), outcome
    return outcome.stdout


def execute(container: Container, *command: str, stdin: int | None = None, **options: Any) -> Outcome:
    """Run one more process in a container."""
    collector = Collector()
    status = container.exec(ExecOptions(command, **options), stdin=stdin, on_event=collector)
    return collector.outcome(status)


def until(condition: Callable[[], bool]) -> None:
    """Wait, ten seconds at most, until the condition holds."""
    import time

    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in ten seconds"
        time.sleep(0.02)
