"""Build, pull and push as lines of plain text, for terminals and logs; one line for each thing that happens.

Lines of steps that run at the same time are told apart by the step's number.
"""

from __future__ import annotations

import codecs
import threading
import time
from collections.abc import Callable, Mapping

from dockmagic.commands.human import decimal_size, short_id
from dockmagic.errors import printable
from dockmagic.events import (
    BootstrapOutput,
    BuildFinished,
    BuildOutput,
    BuildStep,
    BuildWarning,
    ContainerWarning,
    Event,
    PullFinished,
    PullProgress,
    PullStarted,
    PushFinished,
    PushProgress,
    PushStarted,
    RegistryRetry,
    RegistryWarning,
    StepState,
)
from dockmagic.widgets.pull import PULL_WORDS
from dockmagic.widgets.push import PUSH_WORDS
from dockmagic.widgets.text import plain_line


class PlainProgress:
    """Turns events into lines as BuildKit's plain progress and docker pull do; any thread may call it."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._started: dict[int, float] = {}
        self._decoders: dict[tuple[int, str], codecs.IncrementalDecoder] = {}
        self._partial: dict[tuple[int, str], str] = {}
        self._layers: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Write the event's lines, if it has any."""
        with self._lock:
            self._write(event)

    def _write(self, event: Event) -> None:
        match event:
            case BuildStep():
                self._step(event)
            case BuildOutput():
                self._output(event)
            case BuildWarning(message, line):
                self._write_line(f"warning: line {line}: {message}")
            case BuildFinished(image_id, references):
                names = "".join(f"\n => named {name}" for name in references)
                self._write_line(f" => image {image_id}{names}")
            case PullStarted(name, repository):
                self._write_line(f"{name}: Pulling from {repository}")
            case PullProgress():
                self._layer(event, PULL_WORDS, "downloading")
            case PushStarted(repository):
                self._layers.clear()
                self._write_line(f"The push refers to repository [{repository}]")
            case PushProgress():
                self._layer(event, PUSH_WORDS, "uploading")
            case PushFinished(reference, digest, size_bytes):
                self._write_line(f"{reference.rpartition(':')[2]}: digest: {digest} size: {size_bytes}")
            case RegistryWarning(registry, message):
                self._write_line(f"WARNING: {registry} says: {printable(message)}")
            case RegistryRetry(message, pause_s):
                self._write_line(f"Retrying in {pause_s:.1f} s: {printable(message)}")
            case ContainerWarning(_, message):
                self._write_line(f"WARNING: {printable(message)}")
            case BootstrapOutput(line):
                self._write_line(printable(line))
            case PullFinished(reference, digest, updated):
                self._write_line(f"Digest: {digest}")
                self._write_line(
                    f"Status: {'Downloaded newer image' if updated else 'Image is up to date'} for {reference}"
                )
            case _:
                return

    def _step(self, step: BuildStep) -> None:
        """A step's beginning or end."""
        if step.number not in self._started:
            self._started[step.number] = time.monotonic()
            self._write_line(f"#{step.number} [{step.label}] {printable(step.text)}")
        if step.state is StepState.RUNNING:
            return
        for key in [key for key in self._partial if key[0] == step.number]:
            self._line(step.number, self._partial.pop(key))
        words = {
            StepState.CACHED: "CACHED",
            StepState.DONE: f"DONE {step.duration_s:.1f}s",
            StepState.FAILED: f"ERROR {printable(step.reason.partition(chr(10))[0])}".rstrip(),
            StepState.CANCELED: "CANCELED",
        }
        self._write_line(f"#{step.number} {words[step.state]}")
        for line in step.details:
            self._write_line(f"#{step.number} why: {plain_line(line)}")

    def _output(self, output: BuildOutput) -> None:
        """Whole lines of a command's output; the rest waits for its end."""
        key = output.number, output.stream
        decoder = self._decoders.setdefault(key, codecs.getincrementaldecoder("utf-8")("replace"))
        *lines, rest = (self._partial.pop(key, "") + decoder.decode(output.data)).split("\n")
        for line in lines:
            self._line(output.number, line)
        if rest:
            self._partial[key] = rest

    def _line(self, number: int, text: str) -> None:
        elapsed = time.monotonic() - self._started.get(number, time.monotonic())
        self._write_line(f"#{number} {elapsed:.3f} {plain_line(text.rstrip(chr(13)))}")

    def _layer(self, progress: PullProgress | PushProgress, of_status: Mapping[str, str], moving: str) -> None:
        """A layer that changed its status."""
        if self._layers.get(progress.digest) == progress.status:
            return
        self._layers[progress.digest] = progress.status
        size = f" ({decimal_size(progress.total_bytes)})" if progress.total_bytes else ""
        words = of_status.get(progress.status, progress.status)
        more = size if progress.status == moving else f" {progress.detail}".rstrip()
        self._write_line(f"{short_id(progress.digest)}: {words}{more}")
