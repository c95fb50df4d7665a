"""What happens in a build: events for whoever watches, a record of each step, and errors with their place in the text.

Steps may run at the same time, each in a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dockmagic.builder.explain import Explanation
from dockmagic.builder.history import StepRecord
from dockmagic.builder.seam import RunEnd
from dockmagic.dockerfile import instructions as df
from dockmagic.errors import BuildError, DockerfileError, DockmagicError
from dockmagic.events import BuildOutput, BuildStep, BuildWarning, OnEvent, StepState
from dockmagic.oci.image import ImageConfig

_LOOK: Final = "look at what it left: `dockmagic build-shell :{0}` (in a notebook: %build_shell :{0})"


class Progress:
    """Reports the steps of one build; `source` is the Dockerfile's text, "" if it isn't known.

    `explain` tells in full why each step ran.
    """

    def __init__(
        self, total: int, on_event: OnEvent, source: str = "", filename: str = "Dockerfile", *, explain: bool = False
    ) -> None:
        self._total = total
        self._on_event = on_event
        self._source = source
        self._filename = filename
        self._explain = explain
        self._records: list[StepRecord] = []
        self._stages: dict[int, int] = {}
        self._lock = threading.Lock()

    @property
    def records(self) -> tuple[StepRecord, ...]:
        """The steps that are over, by number."""
        return tuple(sorted(self._records, key=lambda record: record.number))

    @contextmanager
    def step(self, instruction: df.Instruction, number: int, stage: str = "") -> Iterator[StepReport]:
        """A step that runs from here to the end of the block, which says in between how it ended.

        An exception means that it failed; one of ours leaves with the lines that it is about.
        """
        report = StepReport(self, instruction, number, stage)
        report.running()
        try:
            yield report
        except BaseException as error:
            report.failed(error)
            self._locate(error, instruction)
            if report.left is not None:
                error.args = (f"{error}\n{_LOOK.format(number)}",)
            raise

    def expect(self, more: int) -> None:
        """There will be so many more steps than it seemed."""
        self._total += more

    def expect_stage(self, first: int, count: int) -> None:
        """A stage's steps are numbered from `first`, and as far as is known there are so many of them."""
        self._stages[first] = count

    def warn(self, message: str, instruction: df.Instruction | None = None) -> None:
        """Something that the author ought to know; without an instruction it is about the whole."""
        self._on_event(BuildWarning(message, 1 if instruction is None else instruction.line))

    def output(self, number: int, stream: str, data: bytes) -> None:
        """The command of a step wrote something."""
        self._on_event(BuildOutput(number, stream, data))

    def tell(self, record: StepRecord, why: Explanation) -> None:
        """Report where a step is."""
        if record.state is not StepState.RUNNING:
            with self._lock:
                self._records.append(record)
        explained = self._explain and record.state in (StepState.CACHED, StepState.DONE)
        details = (why.details or (why.reason,)) if explained else ()
        self._on_event(
            BuildStep(
                number=record.number,
                total=self._total,
                text=record.text,
                state=record.state,
                line=record.line,
                duration_s=record.duration_ns / 1e9,
                reason=record.reason,
                details=details,
                stage=record.stage,
                container_id=record.container_id,
                image_id=record.image_id,
                cpu_ns=record.cpu_ns,
                peak_memory_bytes=record.peak_memory_bytes,
                place=self._place(record.number),
            )
        )

    def _place(self, number: int) -> tuple[int, int]:
        """Which step of its stage this is, of how many; (0, 0) where nobody said."""
        first = max((each for each in list(self._stages) if each <= number), default=0)
        return (number - first + 1, self._stages[first]) if first else (0, 0)

    def _locate(self, error: BaseException, instruction: df.Instruction) -> None:
        """Put the place into the error's message."""
        if isinstance(error, DockerfileError):
            if self._source and error.source is None:
                error.locate(self._source, self._filename)
        elif isinstance(error, DockmagicError):
            if isinstance(error, BuildError):
                error.step = instruction.text
            with self._lock:  # stages that start from the same image fail with the same error
                error.place(self._source, self._filename, instruction.line, instruction.end_line)


class StepReport:
    """What one step has to say while it runs. `container_id` and `used` are of its command, if it has one."""

    def __init__(self, progress: Progress, instruction: df.Instruction, number: int, stage: str) -> None:
        self._progress = progress
        self._instruction = instruction
        self._stage = stage
        self._started_ns = time.time_ns()
        self._began_ns = time.monotonic_ns()
        self._cpu_before_ns = time.thread_time_ns()
        self.number = number
        self.container_id = ""
        self.used: RunEnd | None = None
        self.left: ImageConfig | None = None

    def running(self) -> None:
        """Say that the step has begun, and in which container once there is one."""
        self._tell(StepState.RUNNING, Explanation(""), None, 0)

    def ended(self, state: StepState, why: Explanation, image: ImageConfig | None) -> None:
        """Say how the step ended, why so, and what the image is by now."""
        self._tell(state, why, image, time.monotonic_ns() - self._began_ns)

    def failed(self, error: BaseException) -> None:
        """Say why the step failed; `left` is what it left behind."""
        ours = isinstance(error, DockmagicError)
        state = StepState.CANCELED if isinstance(error, KeyboardInterrupt) else StepState.FAILED
        reason = Explanation(str(error) if ours else type(error).__name__)
        self._tell(state, reason, self.left, time.monotonic_ns() - self._began_ns)

    def output(self, stream: str, data: bytes) -> None:
        """The step's command wrote something."""
        self._progress.output(self.number, stream, data)

    def warn(self, message: str) -> None:
        """Something about this step that the author ought to know."""
        self._progress.warn(message, self._instruction)

    def _tell(self, state: StepState, why: Explanation, image: ImageConfig | None, duration_ns: int) -> None:
        own_ns = time.thread_time_ns() - self._cpu_before_ns
        record = StepRecord(
            number=self.number,
            text=self._instruction.text,
            state=state,
            line=self._instruction.line,
            stage=self._stage,
            reason=why.reason,
            started_ns=self._started_ns,
            duration_ns=duration_ns,
            cpu_ns=0 if state is StepState.RUNNING else own_ns if self.used is None else self.used.cpu_ns,
            peak_memory_bytes=0 if self.used is None else self.used.peak_memory_bytes,
            container_id=self.container_id,
            image=image,
        )
        self._progress.tell(record, why)
