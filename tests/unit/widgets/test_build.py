from __future__ import annotations

from dockmagic.events import BuildFinished, BuildOutput, BuildStep, BuildWarning, ContainerStarted, StepState
from dockmagic.widgets.build import BuildView, Tail

IMAGE_ID = "sha256:" + "3f" * 32


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def step(number: int, state: StepState, text: str = "RUN make", reason: str = "") -> BuildStep:
    return BuildStep(number, 3, text, state, number, 1.25, reason)


def text_of(view: BuildView) -> list[str]:
    return view.bundle()["text/plain"].splitlines()


def test_a_running_build_shows_its_last_lines_and_its_time() -> None:
    clock = Clock()
    view = BuildView(clock)
    view(step(1, StepState.CACHED, "FROM busybox"))
    view(step(2, StepState.RUNNING))
    view(BuildOutput(2, "stdout", "".join(f"line {n}\n" for n in range(20)).encode() + b"unfinished"))
    clock.now_s = 2.4
    lines = text_of(view)
    assert lines[0] == "✓ [1/3] FROM busybox  cached"
    assert lines[1] == "● [2/3] RUN make  2.4 s"
    assert lines[2].strip() == "line 13"
    assert lines[-2].strip() == "unfinished"
    assert lines[-1] == "building …"
    assert "line 13\nline 14" in view.bundle()["text/html"]


def test_a_finished_build_folds_its_output_away() -> None:
    clock = Clock()
    view = BuildView(clock)
    view(step(1, StepState.CACHED, "FROM busybox"))
    view(step(2, StepState.RUNNING))
    view(BuildOutput(2, "stdout", b"one\ntwo\n"))
    view(step(2, StepState.DONE))
    view(BuildWarning("odd <thing>", 2))
    view(BuildFinished(IMAGE_ID, ("hello:latest",)))
    clock.now_s = 3.0
    view.end()
    clock.now_s = 99.0
    assert text_of(view) == [
        "✓ [1/3] FROM busybox  cached",
        "✓ [2/3] RUN make  1.2 s",
        "warning: line 2: odd <thing>",
        "hello:latest · 3f3f3f3f3f3f · 2 steps, 1 cached · 3.0 s",
    ]
    html = view.bundle()["text/html"]
    assert "<summary>2 lines of output</summary>" in html
    assert "odd &lt;thing&gt;" in html


def test_a_failure_shows_the_end_of_the_output_and_the_reason() -> None:
    view = BuildView(Clock())
    view(step(2, StepState.RUNNING))
    view(BuildOutput(2, "stderr", b"\x1b[31merror\x1b[0m: <no>\n"))
    view(step(2, StepState.FAILED, reason="exit code: 2\n  2 | RUN make"))
    view.end(RuntimeError())
    assert text_of(view) == ["✗ [2/3] RUN make  1.2 s", "    error: <no>", "failed at step 2 of 3"]
    html = view.bundle()["text/html"]
    assert "error: &lt;no&gt;" in html
    assert "exit code: 2<" in html


def test_an_interrupted_build_says_so() -> None:
    view = BuildView(Clock())
    view.end(KeyboardInterrupt())
    assert text_of(view) == ["interrupted"]


def test_instructions_are_escaped_and_styles_inline() -> None:
    view = BuildView(Clock())
    view(step(1, StepState.DONE, 'RUN echo "<script>alert(1)</script>"', "because \"'"))
    html = view.bundle()["text/html"]
    assert "<script" not in html
    assert "<style" not in html
    assert html.startswith('<div class="mathjax_ignore tex2jax_ignore"')
    assert 'title="because &quot;&#x27;"' in html


def test_other_events_change_nothing() -> None:
    view = BuildView(Clock())
    before = view.bundle()
    view(ContainerStarted("c", 1))
    view(BuildOutput(9, "stdout", b"of no step"))
    assert view.bundle() == before


def test_a_tail_keeps_the_last_lines_and_what_a_carriage_return_leaves() -> None:
    tail = Tail()
    tail.add("stdout", "10 %\r50 %\r100 %\nüber".encode()[:-3])
    tail.add("stdout", b"x" * 2000)
    assert tail.count == 1
    assert tail.last(2)[0] == "100 %"
    assert len(tail.last(1)[0]) == 500
    assert tail.last(0) == []


def test_why_a_step_ran_where_it_was_asked_for() -> None:
    view = BuildView(Clock())
    view(BuildStep(1, 1, "COPY . .", StepState.DONE, 1, 0.5, "short", ("COPY . .:", "  <a> changed")))
    assert text_of(view)[:3] == ["✓ [1/1] COPY . .  0.50 s", "    why: COPY . .:", "    why:   <a> changed"]
    assert "COPY . .:\n  &lt;a&gt; changed" in view.bundle()["text/html"]


def test_steps_of_several_stages_and_what_was_canceled() -> None:
    view = BuildView(Clock())
    view(BuildStep(2, 5, "RUN make", StepState.FAILED, 2, 1.25, "no", stage="one", place=(2, 2)))
    view(BuildStep(4, 5, "RUN a\nb", StepState.CANCELED, 4, 0.5, stage="two", place=(2, 3)))
    view.end(RuntimeError())
    assert text_of(view) == [
        "✗ [one 2/2] RUN make  1.2 s",
        "○ [two 2/3] RUN a\\nb  canceled, 0.50 s",
        "failed at step one 2/2",
    ]
    view(BuildStep(5, 5, "FROM x", StepState.CACHED, 5, stage="a-stage-with-a-long-name", place=(1, 1)))
    assert ">two 2/3</span>" in view.bundle()["text/html"]
    assert ">a-stage-with-a-… 1/1</span>" in view.bundle()["text/html"]


def test_what_a_command_used_and_why_it_ran() -> None:
    view = BuildView(Clock())
    used = BuildStep(
        2, 3, "RUN make", StepState.DONE, 2, 1.25, "not built <before>", cpu_ns=340_000_000, peak_memory_bytes=3 << 20
    )
    view(used)
    view(BuildStep(3, 3, "ENV A=1", StepState.DONE, 3, 0.01, cpu_ns=1000))
    assert text_of(view)[:2] == ["✓ [2/3] RUN make  1.2 s · CPU 0.34 s · 3 MiB", "✓ [3/3] ENV A=1  0.01 s"]
    html = view.bundle()["text/html"]
    assert html.count("<summary>why?</summary>") == 1
    assert "not built &lt;before&gt;</pre>" in html
    assert ">CPU 0.34 s · 3 MiB</span>" in html
