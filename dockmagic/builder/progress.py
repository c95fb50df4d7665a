"""How a build goes, as events; and errors with the place in the Dockerfile that they belong to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from dockmagic.dockerfile import instructions as df
from dockmagic.errors import BuildError, DockerfileError, DockmagicError, excerpt
from dockmagic.events import BuildOutput, BuildStep, BuildWarning, OnEvent, StepState


class Report(Protocol):
    """Takes how a step ended, and why so: in a line, and in full."""

    def __call__(self, state: StepState, reason: str, details: tuple[str, ...] = ()) -> None:
        """Report it."""


class Progress:
    """Counts the steps of one build and reports them; `source` is the Dockerfile's text, "" if it isn't known."""

    def __init__(self, total: int, on_event: OnEvent, source: str = "", filename: str = "Dockerfile") -> None:
        self._total = total
        self._on_event = on_event
        self._source = source
        self._filename = filename
        self._number = 0

    @property
    def number(self) -> int:
        """The number of the present step, from 1."""
        return self._number

    @contextmanager
    def step(self, instruction: df.Instruction) -> Iterator[Report]:
        """A step that runs from here to the end of the block, which says in between how it ended.

        An exception means that it failed; one of ours leaves with the lines that it is about.
        """
        self._number += 1
        begun = time.monotonic()

        def report(state: StepState, reason: str, details: tuple[str, ...] = ()) -> None:
            duration_s = 0.0 if state is StepState.RUNNING else time.monotonic() - begun
            text, line = instruction.text, instruction.line
            self._on_event(BuildStep(self._number, self._total, text, state, line, duration_s, reason, details))

        report(StepState.RUNNING, "")
        try:
            yield report
        except BaseException as error:
            report(StepState.FAILED, str(error) if isinstance(error, DockmagicError) else type(error).__name__)
            self._locate(error, instruction)
            raise

    def expect(self, more: int) -> None:
        """There will be so many more steps than it seemed."""
        self._total += more

    def output(self, stream: str, data: bytes) -> None:
        """The present step's command wrote something."""
        self._on_event(BuildOutput(self._number, stream, data))

    def warn(self, message: str, instruction: df.Instruction | None = None) -> None:
        """Something that the author ought to know; without an instruction it is about the whole."""
        self._on_event(BuildWarning(message, 1 if instruction is None else instruction.line))

    def _locate(self, error: BaseException, instruction: df.Instruction) -> None:
        """Put the place into the error's message."""
        if isinstance(error, DockerfileError) and self._source and error.source is None:
            error.locate(self._source, self._filename)
        elif isinstance(error, BuildError):
            error.step = instruction.text
            message = f"{self._filename}:{instruction.line}: {error}"
            shown = excerpt(self._source, instruction.line, instruction.end_line) if self._source else ""
            error.args = (f"{message}\n{shown}" if shown else message,)
