"""A build as JSON, an object a line, for other programs: the fields of BuildKit's client.SolveStatus.

A step is a vertex, known by a digest; bytes are in base64, times in RFC 3339. Pulls and pushes are statuses of
vertexes of their own. Source: BuildKit, client/graph.go; docker buildx build, "--progress".
"""

from __future__ import annotations

import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from dockmagic.events import (
    BuildFinished,
    BuildOutput,
    BuildStep,
    BuildWarning,
    Event,
    PullProgress,
    PushProgress,
    StepState,
)
from dockmagic.oci.digest import Digest

_STREAMS: Final = {"stdout": 1, "stderr": 2}
_CANCELED: Final = "context canceled"  # by which readers of this format know what was canceled
_EXPORT: Final = "exporting to image"
_TRANSFERS: Final = {PullProgress: "[internal] pull of base images", PushProgress: "pushing layers"}


class JsonProgress:
    """Turns events into lines of JSON; any thread may call it."""

    def __init__(self, write_line: Callable[[str], None], clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._write_line = write_line
        self._clock_ns = clock_ns
        self._vertexes: dict[int, dict[str, Any]] = {}
        self._begun: set[Digest] = set()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Write the event's line, if it has one."""
        with self._lock:
            match event:
                case BuildStep():
                    self._step(event)
                case BuildOutput(number, stream, data) if number in self._vertexes:
                    log = {"vertex": self._vertexes[number]["digest"], "stream": _STREAMS[stream], "data": _bytes(data)}
                    self._write(logs=[{**log, "timestamp": self._now()}])
                case BuildWarning(message, line):
                    place = {"start": {"line": line}, "end": {"line": line}}
                    self._write(warnings=[{"level": 1, "short": _bytes(message.encode()), "range": [place]}])
                case BuildFinished():
                    self._finished(event)
                case PullProgress() | PushProgress():
                    self._transfer(event)

    def _step(self, step: BuildStep) -> None:
        """A step as a vertex: once when it begins, and again when it has ended."""
        known = self._vertexes.get(step.number)
        if known is not None and step.state is StepState.RUNNING:
            return
        vertex = known or self._vertex(step)
        self._vertexes[step.number] = vertex
        ended: dict[str, Any] = {} if step.state is StepState.RUNNING else {"completed": self._now()}
        if step.state is StepState.CACHED:
            ended["cached"] = True
        if step.state in (StepState.FAILED, StepState.CANCELED):
            ended["error"] = step.reason if step.state is StepState.FAILED else _CANCELED
        self._write(vertexes=[{**vertex, **ended}])

    def _vertex(self, step: BuildStep) -> dict[str, Any]:
        """A step that begins; its input is the step before it, if that is of the same stage."""
        before = self._vertexes.get(step.number - 1) if step.instruction != "FROM" else None
        inputs = {"inputs": [before["digest"]]} if before is not None else {}
        digest = Digest.of(f"{step.number} {step.text}".encode("utf-8", "surrogateescape"))
        return {"digest": digest, **inputs, "name": f"[{step.label}] {step.text}", "started": self._now()}

    def _finished(self, finished: BuildFinished) -> None:
        """The image and its names, as statuses of a vertex that is over at once."""
        vertex, now = Digest.of(_EXPORT.encode()), self._now()
        over = {"started": now, "completed": now}
        ids = [f"writing image {finished.image_id}", *(f"naming to {name}" for name in finished.references)]
        statuses = [{"id": each, "vertex": vertex, "current": 0, "timestamp": now, **over} for each in ids]
        self._write(vertexes=[{"digest": vertex, "name": _EXPORT, **over}], statuses=statuses)

    def _transfer(self, layer: PullProgress | PushProgress) -> None:
        """A layer's bytes so far."""
        name, now = _TRANSFERS[type(layer)], self._now()
        vertex = Digest.of(name.encode())
        head = {} if vertex in self._begun else {"vertexes": [{"digest": vertex, "name": name, "started": now}]}
        self._begun.add(vertex)
        status = {"id": layer.digest, "vertex": vertex, "name": layer.status, "total": layer.total_bytes}
        self._write(**head, statuses=[{**status, "current": layer.current_bytes, "timestamp": now}])

    def _now(self) -> str:
        seconds, nanoseconds = divmod(self._clock_ns(), 1_000_000_000)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"

    def _write(self, **status: object) -> None:
        self._write_line(json.dumps(status))


def _bytes(data: bytes) -> str:
    return b64encode(data).decode()
