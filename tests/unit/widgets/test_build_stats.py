from __future__ import annotations

from matplotlib.patches import Rectangle

from dockmagic.builder.history import BuildRecord, StepRecord
from dockmagic.events import StepState
from dockmagic.widgets.build_stats import build_figure, origin_ns, used_of
from dockmagic.widgets.stats import png

STEPS = (
    StepRecord(1, "FROM busybox", StepState.CACHED, 1, "one", "", 10**9, 1),
    StepRecord(2, "RUN echo $A_$B > /x" + "x" * 90, StepState.DONE, 2, "one", "", 10**9, 2 * 10**9, 10**9, 1 << 20),
    StepRecord(3, "FROM scratch", StepState.CACHED, 3, "two", "", 10**9, 1),
    StepRecord(4, "RUN false", StepState.FAILED, 4, "two", "", 3 * 10**9, 10**9, 5),
)
BUILD = BuildRecord("c0ffee", "n", "Dockerfile", 2 * 10**9, steps=STEPS)


def test_a_row_a_step_in_the_files_order() -> None:
    figure = build_figure(BUILD, "costs $5 and $6")
    [axes] = figure.axes
    bars: list[Rectangle] = [container[0] for container in axes.containers]
    assert [round(bar.get_x(), 1) for bar in bars] == [0, 0, 0, 2]
    assert bars[1].get_width() == 2
    assert bars[0].get_width() > 0
    assert axes.get_yticklabels()[0].get_text() == "FROM busybox"
    assert axes.get_ylim() == (3.5, -0.5)
    texts = [text.get_text() for text in axes.texts]
    assert {"one", "two", "peak memory", "1 MiB", "2.0 s"} <= set(texts)
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["done", "cached", "failed"]
    assert png(figure).startswith(b"\x89PNG")


def test_a_build_that_came_to_no_step() -> None:
    figure = build_figure(BuildRecord("c0ffee", "n", "Dockerfile", 5), "nothing")
    assert png(figure).startswith(b"\x89PNG")
    assert figure.legends == []


def test_time_begins_with_what_came_first() -> None:
    assert origin_ns(BUILD) == 10**9
    assert origin_ns(BuildRecord("c0ffee", "n", "Dockerfile", 5)) == 5


def test_what_a_step_used() -> None:
    assert used_of(STEPS[1]) == ("2.0 s", "1.0 s", "1 MiB")
    assert used_of(STEPS[0]) == ("0.00 s", "", "")
