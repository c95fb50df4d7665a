"""A figure of what containers used over time: CPU above, memory below, with their limits.

The figure is made without pyplot, so that no global state or window is touched, and rendered by `png`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from dockmagic.runtime.series import Usage
from dockmagic.widgets.text import memory_text

Array = NDArray[np.float64]

_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")  # Okabe and Ito's
_LIMIT = "#444444"
_THROTTLED = "#F0C75E"
_OOM = "#D55E00"
_INK = "#202124"
_FAINT = "#6b6f76"
_MIB = 1 << 20
_DPI = 110


@dataclass(frozen=True)
class Trace:
    """What one container used, and what it was allowed to; None is "no limit"."""

    name: str
    usage: Usage
    cpu_limit_cores: float | None = None
    memory_limit_bytes: int | None = None


def stats_figure(traces: Sequence[Trace], title: str = "") -> Figure:
    """Figure of two panels that share their time; several containers are laid over each other."""
    figure = Figure(figsize=(8.2, 4.5), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    cpu, memory = figure.subplots(2, 1, sharex=True)
    alone = len(traces) == 1
    _dress(cpu, f"CPU: {cpu_summary(traces[0])}" if alone else "CPU, % of one core")
    _dress(memory, f"Memory: {memory_summary(traces[0])}" if alone else "Memory")
    _scale_cpu(cpu, traces)
    _scale_memory(memory, traces)
    for trace, color in zip(traces, _colors(len(traces)), strict=True):
        _draw_cpu(cpu, trace, color, alone=alone)
        _draw_memory(memory, trace, color, alone=alone)
    limits = [None if trace.cpu_limit_cores is None else 100 * trace.cpu_limit_cores for trace in traces]
    _draw_limits(cpu, limits, lambda level: f"{level:.4g} %")
    _draw_limits(memory, [trace.memory_limit_bytes for trace in traces], memory_text)
    memory.set_xlabel("time, s", color=_INK, fontsize=9)
    text = title or ", ".join(trace.name for trace in traces)
    figure.suptitle(text, x=0.012, ha="left", color=_INK, fontsize=12, weight="bold")
    _legend(cpu, memory, traces)
    return figure


def cpu_summary(trace: Trace) -> str:
    """The CPU's use in words: mean and most, in percent of one core."""
    if not len(trace.usage.cpu_cores):
        return "not measured"
    mean, most = 100 * float(np.nanmean(trace.usage.cpu_cores)), 100 * float(np.nanmax(trace.usage.cpu_cores))
    return f"{mean:.1f} % of one core on average, {most:.1f} % at most"


def memory_summary(trace: Trace) -> str:
    """The memory's use in words: at the end and at most."""
    if not len(trace.usage.memory_bytes):
        return "not measured"
    most = float(np.nanmax(trace.usage.memory_bytes))
    return f"{memory_text(float(trace.usage.memory_bytes[-1]))} at the end, {memory_text(most)} at most"


def png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def _colors(count: int) -> list[str]:
    """A colour for each container."""
    return [_COLORS[index % len(_COLORS)] for index in range(count)]


def _dress(axes: Axes, label: str) -> None:
    """Give a panel its grid, its heading and no more frame than needed."""
    axes.set_facecolor("white")
    axes.set_title(label, loc="left", color=_INK, fontsize=10)
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_FAINT, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#c4c7cc")


def _draw_cpu(axes: Axes, trace: Trace, color: str, *, alone: bool) -> None:
    """The CPU's line, and above its limit the times in which that held the container up."""
    share = trace.usage.cpu_cores * 100
    if alone:
        axes.fill_between(trace.usage.time_s, 0, share, color=color, alpha=0.12, linewidth=0)
    axes.plot(trace.usage.time_s, share, color=color, linewidth=1.8, label=trace.name, solid_joinstyle="round")
    floor, top = 100 * (trace.cpu_limit_cores or 0.0), axes.get_ylim()[1]
    shade = _THROTTLED if alone else color
    for begin, end in _spans(trace.usage.time_s, trace.usage.throttled > 0):
        axes.fill_between([begin, end], floor, top, color=shade, alpha=0.35 if alone else 0.15, linewidth=0, zorder=0)


def _draw_memory(axes: Axes, trace: Trace, color: str, *, alone: bool) -> None:
    """The memory's line, and kills."""
    if alone:
        axes.fill_between(trace.usage.time_s, 0, trace.usage.memory_bytes, color=color, alpha=0.12, linewidth=0)
    axes.plot(
        trace.usage.time_s,
        trace.usage.memory_bytes,
        color=color,
        linewidth=1.8,
        label=trace.name,
        solid_joinstyle="round",
    )
    killed = trace.usage.oom_kills > 0
    time_s, memory_bytes = trace.usage.time_s, trace.usage.memory_bytes
    if killed.any():
        axes.plot(
            time_s[killed], memory_bytes[killed], "X", color=_OOM, markersize=10, markeredgecolor="white",
            label="killed: out of memory", zorder=5, clip_on=False,
        )  # fmt: skip


def _draw_limits(axes: Axes, limits: Sequence[float | None], text: Callable[[float], str]) -> None:
    """A dashed line at each limit, its value above its right end, in the colour of the only container that has it."""
    levels = [level for level in limits if level is not None]
    for level in dict.fromkeys(levels):
        shared = len(limits) == 1 or levels.count(level) > 1
        ink = _LIMIT if shared else _colors(len(limits))[limits.index(level)]
        axes.axhline(level, color=ink, linewidth=1.2, linestyle=(0, (5, 3)))
        axes.annotate(
            f"limit {text(level)}", (1, level), xycoords=("axes fraction", "data"), xytext=(-2, 3),
            textcoords="offset points", ha="right", va="bottom", fontsize=9, color=ink,
        )  # fmt: skip


def _spans(time_s: Array, flags: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Stretches of time in which the flag holds; a sample stands for the time since the one before."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(float(time_s[max(begin - 1, 0)]), float(time_s[end - 1])) for begin, end in pairs]


def _scale_cpu(axes: Axes, traces: Sequence[Trace]) -> None:
    """Room for the highest use and the limits, in steps that read well."""
    levels = [float(np.nanmax(trace.usage.cpu_cores)) for trace in traces if len(trace.usage.cpu_cores)]
    levels += [trace.cpu_limit_cores for trace in traces if trace.cpu_limit_cores is not None]
    axes.set_ylim(0, max(100 * max(levels, default=0.0) * 1.22, 5))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    last = max((float(trace.usage.time_s[-1]) for trace in traces if len(trace.usage.time_s)), default=0.0)
    axes.set_xlim(0, max(last, 0.1))


def _scale_memory(axes: Axes, traces: Sequence[Trace]) -> None:
    """Room for the highest use and the limits; ticks at round numbers of the unit."""
    levels = [float(np.nanmax(trace.usage.memory_bytes)) for trace in traces if len(trace.usage.memory_bytes)]
    levels += [float(trace.memory_limit_bytes) for trace in traces if trace.memory_limit_bytes is not None]
    top = max(max(levels, default=0.0) * 1.22, _MIB / 4)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_locator(MultipleLocator(_binary_step(top)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: memory_text(value)))


def _binary_step(top: float) -> float:
    """A step of 1, 2, 4, 8 … that gives three to six ticks."""
    return float(2.0 ** np.ceil(np.log2(top / 5)))


def _legend(cpu: Axes, memory: Axes, traces: Sequence[Trace]) -> None:
    """Name the containers where there are several, and the marks where they occur."""
    handles: list[Any] = []
    if len(traces) > 1:
        handles += [line for line in cpu.get_lines() if not str(line.get_label()).startswith("_")]
    if any((trace.usage.throttled > 0).any() for trace in traces):
        color, alpha = (_THROTTLED, 0.35) if len(traces) == 1 else (_FAINT, 0.15)
        handles.append(Patch(color=color, alpha=alpha, linewidth=0, label="throttled"))
    if handles:
        cpu.legend(
            handles=handles, ncols=6, frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1),
            borderaxespad=0.2,
        )  # fmt: skip
    killed = [line for line in memory.get_lines() if line.get_label() == "killed: out of memory"]
    if killed:
        memory.legend(handles=killed[:1], loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize=9)
