"""What there is to tell of a container that runs or has ended: as events, and as the result of a run."""

from __future__ import annotations

from dataclasses import dataclass

from dockmagic.events import ContainerOutput, ContainerStarted, ContainerWarning, OnEvent
from dockmagic.runtime.client import Started
from dockmagic.runtime.request import Record
from dockmagic.runtime.session import OnOutput


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a foreground container ended, and what all its processes used; or that it was left running (`detached`)."""

    container_id: str
    exit_status: int
    oom_killed: bool
    cpu_ns: int
    peak_memory_bytes: int
    detached: bool = False


def result_of(container_id: str, record: Record, *, detached: bool = False) -> RunResult:
    """The result of a run that ended with this record, or was left."""
    used = record.cpu_ns, record.peak_memory_bytes
    return RunResult(container_id, record.exit_status, record.oom_killed, *used, detached)


def report_start(container_id: str, started: Started, on_event: OnEvent) -> None:
    """Tell that a container runs, and what of it can't be had on this host."""
    on_event(ContainerStarted(container_id, started.record.pid))
    for message in started.warnings:
        on_event(ContainerWarning(container_id, message))


def outputs(container_id: str, on_event: OnEvent) -> OnOutput:
    """Tells of output as events."""
    return lambda stream, data: on_event(ContainerOutput(container_id, stream, data))
