"""A figure of a build: steps against time, a row a step, with what each of them used beside it.

The figure is made without pyplot, so that no global state or window is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dockmagic.builder.history import BuildRecord, StepRecord
from dockmagic.errors import printable
from dockmagic.events import StepState
from dockmagic.widgets.build import seconds_text
from dockmagic.widgets.text import memory_text

_COLORS: Final = {
    StepState.DONE: "#0072B2",
    StepState.CACHED: "#009E73",
    StepState.FAILED: "#D55E00",
    StepState.CANCELED: "#E69F00",
}  # Okabe and Ito's
_INK, _FAINT, _BAND, _LINE = "#202124", "#6b6f76", "#f4f6f8", "#c4c7cc"
_DPI: Final = 110
_WIDTH, _ROW, _MARGIN = 10.0, 0.27, 1.25  # inches
_LEFT, _RIGHT = 0.38, 0.78  # of the width: where the bars are
_TEXT_WIDTH, _STAGE_WIDTH, _TITLE_WIDTH = 38, 11, 70  # characters
_COLUMNS: Final = (("time", 1.12), ("CPU", 1.29), ("peak memory", 1.535))  # right ends, of the bars' width
_SMALL: Final = 8.5


def build_figure(build: BuildRecord, title: str) -> Figure:
    """Figure of a Gantt chart: bars coloured by how the steps ended, grouped by stage, in the Dockerfile's order."""
    steps = build.steps
    height = _ROW * max(len(steps), 1) + _MARGIN
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((_LEFT, 0.55 / height, _RIGHT - _LEFT, (height - _MARGIN) / height))
    figure.text(
        0.012, 1 - 0.28 / height, _shortened(title, _TITLE_WIDTH), color=_INK, fontsize=12, weight="bold", va="center"
    )
    began_ns = origin_ns(build)
    _dress(axes, steps, _last_s(build))
    _band(axes, steps)
    for row, step in enumerate(steps):
        _draw(axes, row, step, (step.started_ns - began_ns) / 1e9)
    _legend(figure, steps, height)
    return figure


def origin_ns(build: BuildRecord) -> int:
    """When the figure's time begins: with the build, or with the first step where clocks disagree."""
    return min([build.started_ns, *(step.started_ns for step in build.steps)])


def used_of(step: StepRecord) -> tuple[str, str, str]:
    """A step's time, CPU time and peak memory in words; "" where it has none to speak of."""
    cpu = seconds_text(step.cpu_ns / 1e9) if step.cpu_ns else ""
    memory = memory_text(step.peak_memory_bytes) if step.peak_memory_bytes else ""
    return seconds_text(step.duration_ns / 1e9), cpu, memory


def _last_s(build: BuildRecord) -> float:
    """When the last step ended, s after the figure's time began."""
    ends = [step.started_ns + step.duration_ns for step in build.steps]
    return max((max(ends, default=0) - origin_ns(build)) / 1e9, 0.001)


def _dress(axes: Axes, steps: Sequence[StepRecord], last_s: float) -> None:
    """The frame: time below, instructions on the left, headings of the numbers on the right."""
    axes.set_xlim(0, last_s * 1.01)
    axes.set_ylim(max(len(steps), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(steps)), [_shortened(step.text) for step in steps], family="monospace")
    axes.tick_params(axis="y", length=0, labelsize=_SMALL, colors=_INK)
    axes.tick_params(axis="x", labelsize=_SMALL, colors=_FAINT)
    axes.set_xlabel("time, s", color=_INK, fontsize=9)
    axes.grid(axis="x", color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    for name, place in _COLUMNS:
        axes.text(
            place, -0.6, name, transform=axes.get_yaxis_transform(), ha="right", va="bottom", fontsize=_SMALL,
            color=_FAINT,
        )  # fmt: skip


def _band(axes: Axes, steps: Sequence[StepRecord]) -> None:
    """Shade every other stage from edge to edge of the figure, and name the stages where there are several."""
    first = 0
    for index, (stage, members) in enumerate(groupby(steps, lambda step: step.stage)):
        last = first + len(list(members))
        left = -_LEFT / (_RIGHT - _LEFT)
        if index % 2 == 0 and stage:
            axes.axhspan(
                first - 0.5,
                last - 0.5,
                xmin=left,
                xmax=1 / (_RIGHT - _LEFT) + left,
                color=_BAND,
                zorder=0,
                clip_on=False,
                linewidth=0,
            )
        axes.text(
            left + 0.02, first, _shortened(stage, _STAGE_WIDTH), transform=axes.get_yaxis_transform(), va="center",
            fontsize=_SMALL, color=_FAINT, weight="bold",
        )  # fmt: skip
        first = last


def _draw(axes: Axes, row: int, step: StepRecord, began_s: float) -> None:
    """A step's bar, wide enough to be seen, and its numbers."""
    least_s = axes.get_xlim()[1] / 250
    width_s = max(step.duration_ns / 1e9, least_s)
    axes.barh(row, width_s, left=began_s, height=0.62, color=_COLORS.get(step.state, _FAINT), linewidth=0)
    for (_, place), text in zip(_COLUMNS, used_of(step), strict=True):
        axes.text(
            place, row, text, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=_SMALL, color=_INK
        )


def _legend(figure: Figure, steps: Sequence[StepRecord], height: float) -> None:
    """Name the colours that occur."""
    states = [state for state in _COLORS if any(step.state is state for step in steps)]
    handles = [Patch(color=_COLORS[state], label=state.value) for state in states]
    if handles:
        figure.legend(
            handles=handles, ncols=4, frameon=False, fontsize=_SMALL, loc="center right",
            bbox_to_anchor=(0.995, 1 - 0.28 / height), handlelength=1.0,
        )  # fmt: skip


def _shortened(text: str, most: int = _TEXT_WIDTH) -> str:
    """The text on one line, cut where it is too long; no dollar sign in it begins a formula."""
    line = printable(text)
    return (line if len(line) <= most else f"{line[: most - 1]}…").replace("$", r"\$")
