"""A build as builders before BuildKit showed it: steps one after another, their temporary containers, and images.

Every ID is true: a container is named where a command really ran in one, and the image after a step is what the build's
history knows. Source: docker build's reference, "Legacy builder"; moby's builder/dockerfile.
"""

from __future__ import annotations

import codecs
import threading
from collections.abc import Callable

from dockmagic.commands.human import short_id
from dockmagic.commands.progress import PlainProgress
from dockmagic.errors import printable
from dockmagic.events import BuildFinished, BuildOutput, BuildStep, BuildWarning, Event, StepState
from dockmagic.widgets.text import plain_line

_NOTE = "[Warning]"


class ClassicProgress:
    """Turns the events of a build whose steps come one after another into lines; any thread may call it."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._others = PlainProgress(write_line)
        self._begun: set[int] = set()
        self._containers: dict[int, str] = {}
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._partial: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Write the event's lines, if it has any."""
        with self._lock:
            match event:
                case BuildStep():
                    self._step(event)
                case BuildOutput(_, stream, data):
                    self._output(stream, data)
                case BuildWarning(message, line):
                    plain = message.startswith(_NOTE)
                    self._write_line(message if plain else f"{_NOTE} line {line}: {message}")
                case BuildFinished():
                    self._finished(event)
                case _:
                    self._others(event)

    def _step(self, step: BuildStep) -> None:
        """A step that begins, runs in its container, or ends."""
        if step.number not in self._begun:
            self._begun.add(step.number)
            self._write_line(f"Step {step.number}/{step.total} : {printable(step.text)}")
        if step.container_id and step.number not in self._containers:
            self._containers[step.number] = step.container_id
            self._write_line(f" ---> Running in {short_id(step.container_id)}")
        if step.state is not StepState.RUNNING:
            self._ended(step)

    def _ended(self, step: BuildStep) -> None:
        """What a step came to."""
        self._rest()
        if step.state is StepState.CACHED and step.instruction != "FROM":
            self._write_line(" ---> Using cache")
        if step.number in self._containers:
            self._write_line(f"Removing intermediate container {short_id(self._containers[step.number])}")
        for line in step.details:
            self._write_line(f" why: {plain_line(line)}")
        if step.state in (StepState.CACHED, StepState.DONE):
            self._write_line(f" ---> {short_id(step.image_id)}".rstrip())

    def _finished(self, finished: BuildFinished) -> None:
        self._write_line(f"Successfully built {short_id(finished.image_id)}")
        for reference in finished.references:
            self._write_line(f"Successfully tagged {reference}")

    def _output(self, stream: str, data: bytes) -> None:
        """Whole lines of a command's output; the rest waits for its end."""
        decoder = self._decoders.setdefault(stream, codecs.getincrementaldecoder("utf-8")("replace"))
        *lines, rest = (self._partial.pop(stream, "") + decoder.decode(data)).split("\n")
        for line in lines:
            self._line(line)
        if rest:
            self._partial[stream] = rest

    def _rest(self) -> None:
        """Lines of output without an end."""
        for rest in self._partial.values():
            self._line(rest)
        self._partial.clear()
        self._decoders.clear()

    def _line(self, text: str) -> None:
        self._write_line(plain_line(text.rstrip("\r")))
