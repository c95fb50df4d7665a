"""A build as it goes: steps with their states and times, the last output, and where it failed.

BuildView takes events and gives the picture as HTML and as text; it shows nothing itself.
"""

from __future__ import annotations

import codecs
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

from dockmagic.errors import printable
from dockmagic.events import BuildFinished, BuildOutput, BuildStep, BuildWarning, Event, StepState
from dockmagic.widgets.style import AMBER, BLUE, BOX, ELLIPSIS, FAINT, GREEN, MONO, NO_MATH, RED
from dockmagic.widgets.text import memory_text, plain_line, plural

_RUNNING_LINES = 8
_KEPT_LINES = 200
_FAILED_LINES = 30
_LINE_WIDTH = 500
_STAGE_WIDTH = 16
_MARKS = {
    StepState.RUNNING: ("●", BLUE),
    StepState.CACHED: ("✓", GREEN),
    StepState.DONE: ("✓", GREEN),
    StepState.FAILED: ("✗", RED),
    StepState.CANCELED: ("○", AMBER),
}
_PRE = (
    "margin:0;padding:6px 12px 6px 34px;background:none;white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px;"
    f"{MONO}"
)
_FOLDED = f"padding-left:74px;font-size:12px;{FAINT}"


class Tail:
    """The last lines of some output, its bytes decoded as they come; how many lines there were in all."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._open: dict[str, str] = {}
        self.count = 0

    def add(self, stream: str, data: bytes) -> None:
        """Take bytes of a stream; only whole lines of one stream are put beside those of another."""
        decoder = self._decoders.setdefault(stream, codecs.getincrementaldecoder("utf-8")("replace"))
        *lines, rest = (self._open.get(stream, "") + decoder.decode(data)).split("\n")
        self._open[stream] = rest.rpartition("\r")[2][-_LINE_WIDTH:]
        for line in lines:
            self._lines.append(line.removesuffix("\r").rpartition("\r")[2][:_LINE_WIDTH])
            self.count += 1

    def last(self, most: int) -> list[str]:
        """The last lines, those without an end included."""
        lines = [*self._lines, *(text for text in self._open.values() if text)]
        return [plain_line(line) for line in lines[max(len(lines) - most, 0) :]]


def _first_line(text: str) -> str:
    """The first line of a message, which may go on with an excerpt."""
    return text.partition("\n")[0]


def _html_why(step: BuildStep) -> str:
    """Why the step ran or needn't: folded away, but open where it was asked for."""
    lines = step.details or ((step.reason,) if step.state in (StepState.CACHED, StepState.DONE) else ())
    if not any(lines):
        return ""
    text = escape("\n".join(plain_line(line) for line in lines))
    shown = f'<pre class="why" style="{_PRE};padding:0 12px 4px 14px;{FAINT}">{text}</pre>'
    opened = " open" if step.details else ""
    return f'<details{opened} style="{_FOLDED}"><summary>why?</summary>{shown}</details>'


def usage_text(step: BuildStep) -> str:
    """What a step's command used, "" where none ran: "CPU 1.20 s · 34 MiB"."""
    if not step.peak_memory_bytes:
        return ""
    return f"CPU {seconds_text(step.cpu_ns / 1e9)} · {memory_text(step.peak_memory_bytes)}"


def seconds_text(seconds: float) -> str:
    """A time with as many digits as mean something.

    >>> seconds_text(0.314), seconds_text(12.34)
    ('0.31 s', '12.3 s')
    """
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"


def _place(step: BuildStep) -> str:
    """Which step it is, in words."""
    return step.label if step.stage else f"{step.number} of {step.total}"


def _short_label(step: BuildStep) -> str:
    """The step's label, the name of its stage cut where it is too long."""
    stage, _, place = step.label.rpartition(" ")
    return f"{stage if len(stage) <= _STAGE_WIDTH else f'{stage[: _STAGE_WIDTH - 1]}…'} {place}".lstrip()


@dataclass
class StepView:
    """A step as it was last reported, when it began (monotonic, s), and what it wrote."""

    step: BuildStep
    began_s: float
    output: Tail = field(default_factory=Tail)

    def time_text(self, now_s: float) -> str:
        """How long it took, or has taken so far."""
        if self.step.state is StepState.CACHED:
            return "cached"
        if self.step.state is StepState.RUNNING:
            return seconds_text(now_s - self.began_s)
        canceled = "canceled, " if self.step.state is StepState.CANCELED else ""
        return f"{canceled}{seconds_text(self.step.duration_s)}"


class BuildView:
    """The state of one build; any thread may call any method."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._ended_s: float | None = None
        self._steps: dict[int, StepView] = {}
        self._warnings: list[BuildWarning] = []
        self._finished: BuildFinished | None = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take an event of the build; others are passed over."""
        with self._lock:
            match event:
                case BuildStep(number=number):
                    view = self._steps.setdefault(number, StepView(event, self._clock()))
                    view.step = event
                case BuildOutput(number, stream, data) if number in self._steps:
                    self._steps[number].output.add(stream, data)
                case BuildWarning():
                    self._warnings.append(event)
                case BuildFinished():
                    self._finished = event
                case _:
                    return

    def end(self, error: BaseException | None = None) -> None:
        """Say that the build is over; `error` is what ended it."""
        with self._lock:
            self._error = error
            self._ended_s = self._clock()

    def bundle(self) -> dict[str, str]:
        """The picture, by MIME type."""
        with self._lock:
            return {"text/html": self._html(), "text/plain": self._text()}

    def lines(self, columns: int, most: int | None = None) -> list[str]:
        """The picture as lines; all of them, since which ones are in sight is a terminal's choice."""
        with self._lock:
            return self._text().splitlines()

    def _now_s(self) -> float:
        return self._clock() if self._ended_s is None else self._ended_s

    def _views(self) -> list[StepView]:
        """Steps in the order of their numbers."""
        return [self._steps[number] for number in sorted(self._steps)]

    def _text(self) -> str:
        """The picture as lines of text."""
        now_s = self._now_s()
        lines = []
        for view in self._views():
            step = view.step
            times = " · ".join(filter(None, (view.time_text(now_s), usage_text(step))))
            lines.append(f"{_MARKS[step.state][0]} [{step.label}] {printable(step.text)}  {times}")
            lines += [f"    why: {plain_line(line)}" for line in step.details]
            lines += [f"    {line}" for line in view.output.last(self._shown_lines(view))]
        lines += [f"warning: line {warning.line}: {warning.message}" for warning in self._warnings]
        return "\n".join([*lines, self._summary()])

    def _shown_lines(self, view: StepView) -> int:
        """How many lines of output are in sight: those of a step that runs or has failed."""
        return {StepState.RUNNING: _RUNNING_LINES, StepState.FAILED: _FAILED_LINES}.get(view.step.state, 0)

    def _summary(self) -> str:
        """The last line: what the build came to."""
        if self._finished is not None:
            cached = sum(view.step.state is StepState.CACHED for view in self._steps.values())
            names = " ".join(self._finished.references) or "image"
            steps = f"{plural(len(self._steps), 'step')}, {cached} cached"
            identifier = self._finished.image_id.removeprefix("sha256:")[:12]
            return f"{names} · {identifier} · {steps} · {self._now_s() - self._began_s:.1f} s"
        if self._error is None:
            return "building …"
        interrupted = isinstance(self._error, KeyboardInterrupt)
        state = StepState.CANCELED if interrupted else StepState.FAILED
        ended = ", ".join(_place(view.step) for view in self._views() if view.step.state is state)
        return f"{'interrupted' if interrupted else 'failed'}{f' at step {ended}' if ended else ''}"

    def _html(self) -> str:
        """The picture in HTML: a row a step, output beneath, a last line."""
        now_s = self._now_s()
        steps = "".join(self._html_step(view, now_s) for view in self._views())
        warnings = "".join(
            f'<div style="padding:3px 12px;color:{AMBER}">warning: line {warning.line}: {escape(warning.message)}</div>'
            for warning in self._warnings
        )
        color = GREEN if self._finished else RED if self._error else BLUE
        mark = "✓" if self._finished else "✗" if self._error else "●"
        summary = (
            f'<div style="padding:5px 12px;border-left:3px solid {color};background:var(--jp-layout-color2,#f8f9fa)">'
            f'<span style="color:{color};font-weight:600">{mark}</span> {escape(self._summary())}</div>'
        )
        return f'<div {NO_MATH} style="{BOX}"><div style="padding:4px 0">{steps}{warnings}</div>{summary}</div>'

    def _html_step(self, view: StepView, now_s: float) -> str:
        """A step's row, and what it wrote."""
        step = view.step
        mark, color = _MARKS[step.state]
        used = usage_text(step)
        usage = f'<span style="font-size:11px;{FAINT}">{used}</span>' if used else "<span></span>"
        row = (
            f'<div style="display:grid;grid-template-columns:14px {self._label_width()} 1fr auto auto;column-gap:8px;'
            f'padding:3px 12px;align-items:baseline"><span style="color:{color};font-weight:600">{mark}</span>'
            f'<span title="{escape(step.label)}" style="{FAINT};{ELLIPSIS}">{escape(_short_label(step))}</span>'
            f'<span title="{escape(step.text)}" style="{MONO};{ELLIPSIS}">{escape(step.text)}</span>'
            f'{usage}<span title="{escape(step.reason)}" style="{FAINT}">{view.time_text(now_s)}</span></div>'
        )
        return row + _html_why(step) + self._html_output(view)

    def _label_width(self) -> str:
        """Room for the longest label: stages have names."""
        longest = max((len(_short_label(view.step)) for view in self._steps.values()), default=0)
        return f"{max(longest, 5) * 0.58 + 0.3:.1f}em"

    def _html_output(self, view: StepView) -> str:
        """What a step wrote: open while it runs or where it failed, folded away afterwards."""
        state, output = view.step.state, view.output
        lines = output.last(self._shown_lines(view) or _KEPT_LINES)
        text = f'<pre style="{_PRE};{FAINT}">{escape(chr(10).join(lines))}</pre>' if lines else ""
        if state is StepState.FAILED:
            reason = f'<div style="padding:2px 12px 6px 34px;color:{RED}">{escape(_first_line(view.step.reason))}</div>'
            return f'<div style="border-left:3px solid {RED}">{text}{reason}</div>'
        if state is StepState.RUNNING or not text:
            return text
        label = f"{plural(max(output.count, len(lines)), 'line')} of output"
        return f'<details style="{_FOLDED}"><summary>{label}</summary>{text}</details>'
