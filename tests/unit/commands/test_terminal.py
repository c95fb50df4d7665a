from __future__ import annotations

import re
import time
from os import terminal_size

from dockmagic.commands.terminal import LiveText
from dockmagic.events import (
    BootstrapOutput,
    BuildFinished,
    BuildOutput,
    BuildStep,
    PullFinished,
    PullProgress,
    StepState,
)

IMAGE = "sha256:" + "a" * 64


class Terminal:
    """Lines of text that can be written over, as a terminal has them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.most = 0

    def write(self, text: str) -> None:
        """Carry out what dockmagic writes: up, lines that clear their rest, and the end of the screen."""
        up = re.match(r"\x1b\[(\d+)A", text)
        if up:
            del self.lines[len(self.lines) - int(up[1]) :]
            text = text[up.end() :]
        assert text.endswith("\x1b[J")
        self.lines += [line.removesuffix("\x1b[K") for line in text.removesuffix("\x1b[J").splitlines()]
        self.most = max(self.most, len(self.lines))


def until(terminal: Terminal, text: str) -> None:
    end_s = time.monotonic() + 10
    while not any(text in line for line in terminal.lines):
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_the_picture_is_renewed_in_place_and_whole_at_the_end() -> None:
    terminal = Terminal()
    with LiveText(terminal.write, lambda: terminal_size((30, 6))) as live:
        live(BootstrapOutput("a note"))
        for number in range(1, 9):
            live(BuildStep(number, 9, f"ENV NAME_{number}=a-long-value", StepState.DONE, number))
        live(BuildStep(9, 9, "RUN make", StepState.RUNNING, 9))
        live(BuildOutput(9, "stdout", b"so far\n"))
        until(terminal, "so far")
        assert len(terminal.lines) == 5
        assert all(len(line) < 30 for line in terminal.lines)
        live(BuildStep(9, 9, "RUN make", StepState.DONE, 9, 1.5, cpu_ns=900_000_000, peak_memory_bytes=1 << 20))
        live(BuildFinished(IMAGE, ("hello:latest",)))
    assert len(terminal.lines) == 11
    assert terminal.lines[0] == "a note"
    assert terminal.lines[1] == "✓ [1/9] ENV NAME_1=a-long-value  0.00 s"
    assert terminal.lines[9] == "✓ [9/9] RUN make  1.5 s · CPU 0.90 s · 1 MiB"
    assert terminal.lines[10].startswith("hello:latest · aaaaaaaaaaaa · 9 steps")


def test_a_pull_is_a_table_that_fits_and_is_whole_at_the_end() -> None:
    terminal = Terminal()
    digests = [f"sha256:{number:064d}" for number in range(20)]
    with LiveText(terminal.write, lambda: terminal_size((60, 8))) as live:
        for digest in digests:
            live(PullProgress(digest, "waiting", 0, 1_000))
        live(PullProgress(digests[7], "downloading", 500, 1_000))
        until(terminal, "Downloading [=====")
        assert len(terminal.lines) == 3
        assert terminal.lines[1] == "… and 19 waiting"
        for digest in digests:
            live(PullProgress(digest, "complete", 1_000, 1_000))
        live(PullFinished("app:1", digests[0], updated=True))
    assert len(terminal.lines) == 22
    assert terminal.lines[21].startswith("Status: Downloaded newer image for app:1")


def test_a_terminal_that_became_narrower_has_wrapped_the_lines() -> None:
    written: list[str] = []
    columns = [61]
    with LiveText(written.append, lambda: terminal_size((columns[0], 8))) as live:
        live(PullProgress("sha256:" + "a" * 64, "retrying", 0, 1_000, "x" * 100))
        end_s = time.monotonic() + 10
        while not written and time.monotonic() < end_s:
            time.sleep(0.01)
        columns[0] = 30
    assert written[-1].startswith("\x1b[3A")  # 60 characters on two lines, and the summary


def test_renewals_are_few() -> None:
    written: list[str] = []
    with LiveText(written.append, lambda: terminal_size((80, 8))) as live:
        end_s = time.monotonic() + 0.5
        while time.monotonic() < end_s:
            live(PullProgress("sha256:" + "a" * 64, "downloading", 1, 1_000))
    assert len(written) <= 6


def test_an_error_ends_the_picture() -> None:
    terminal = Terminal()
    live = LiveText(terminal.write, lambda: terminal_size((0, 0)))
    live.__enter__()
    live(BuildStep(1, 1, "RUN make", StepState.CANCELED, 1, 0.5))
    live.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert terminal.lines == ["○ [1/1] RUN make  canceled, 0.50 s", "interrupted at step 1 of 1"]


def test_nothing_to_show_writes_nothing() -> None:
    terminal = Terminal()
    with LiveText(terminal.write):
        pass
    assert terminal.most == 0
