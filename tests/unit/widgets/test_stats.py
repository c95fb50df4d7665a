from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dockmagic.runtime.series import Usage
from dockmagic.widgets.stats import Trace, cpu_summary, memory_summary, png, stats_figure

MIB = 1 << 20


def trace(name: str = "burn", *, samples: int = 30, cpu_limit: float | None = 0.5, oom: bool = False) -> Trace:
    """Half a core all the time, throttled from the second sample on, and memory that grows to 64 MiB."""
    time_s = np.arange(1, samples + 1) / 10
    kills = np.zeros(samples)
    if oom:
        kills[-1] = 1
    usage = Usage(
        time_s=time_s,
        cpu_cores=np.full(samples, 0.5),
        throttled=np.where(time_s > 0.1, 0.5, 0.0),
        memory_bytes=np.linspace(MIB, 64 * MIB, samples) if samples else np.zeros(0),
        oom_kills=kills,
        pids=np.ones(samples),
    )
    return Trace(name, usage, cpu_limit, 64 * MIB)


def labels(figure: Figure) -> list[str]:
    """All that is written into the panels besides ticks."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def legend(axes: Axes) -> list[str]:
    """The names in a panel's legend."""
    found = axes.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts()]


def test_one_container_has_its_limits_drawn_in() -> None:
    figure = stats_figure([trace()])
    cpu, memory = figure.axes
    assert labels(figure) == ["limit 50 %", "limit 64 MiB"]
    assert cpu.get_title("left") == "CPU: 50.0 % of one core on average, 50.0 % at most"
    assert memory.get_title("left") == "Memory: 64 MiB at the end, 64 MiB at most"
    assert cpu.get_ylim()[1] > 50
    assert memory.get_ylim()[1] > 64 * MIB
    assert cpu.get_xlim()[1] == pytest.approx(3.0)
    assert (legend(cpu), legend(memory)) == (["throttled"], [])


def test_several_containers_share_limits_and_panels() -> None:
    figure = stats_figure([trace("a"), trace("b", cpu_limit=None, oom=True)], title="two of them")
    cpu, memory = figure.axes
    assert labels(figure) == ["limit 50 %", "limit 64 MiB"]
    assert legend(cpu) == ["a", "b", "throttled"]
    assert legend(memory) == ["killed: out of memory"]
    assert figure.get_suptitle() == "two of them"


def test_ticks_of_memory_are_round_numbers() -> None:
    figure = stats_figure([trace()])
    figure.canvas.draw()
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()][1:6:2] == ["0 B", "32 MiB", "64 MiB"]


def test_the_picture_is_a_png() -> None:
    figure = stats_figure([trace(oom=True)])
    assert png(figure).startswith(b"\x89PNG")
    assert figure.canvas.manager is None  # pyplot knows nothing of it


@pytest.mark.parametrize("samples", [0, 1])
def test_a_container_that_ended_at_once(samples: int) -> None:
    ended = trace(samples=samples)
    assert png(stats_figure([ended]))
    assert (cpu_summary(ended) == memory_summary(ended) == "not measured") is (samples == 0)
