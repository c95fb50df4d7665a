"""The terminal's door on the real engine: streams, statuses and signals of whole processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dockmagic.image.store import Image

pytestmark = pytest.mark.root

PROGRAM = [sys.executable, "-m", "dockmagic"]


@pytest.fixture(autouse=True)
def _with_busybox(busybox: Image) -> None:
    """Every test has the image busybox in the state root that the environment names."""


def dockmagic(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    return subprocess.run([*PROGRAM, *words], input=text, capture_output=True, text=True, timeout=60)


def test_streams_and_status_are_the_containers() -> None:
    done = dockmagic("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_input_is_passed_on() -> None:
    assert dockmagic("run", "--rm", "-i", "busybox", "cat", text="a line\n").stdout == "a line\n"
    assert dockmagic("run", "--rm", "busybox", "cat", text="a line\n").stdout == ""


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("run --rm busybox nonsense", 127),
        ("run --rm busybox /etc", 126),
        ("run --nonsense busybox", 125),
        ("run --rm busybox sh -c true", 0),
        ("logs nothing", 1),
    ],
)
def test_statuses_are_dockers(line: str, status: int) -> None:
    done = dockmagic(*line.split())
    assert done.returncode == status
    assert done.stderr.startswith("dockmagic: ") is (status != 0)
    assert "Traceback" not in done.stderr


def test_a_build_shows_its_steps_and_its_image_runs(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "note.txt").write_text("a note\n")
    (context / "Dockerfile").write_text('FROM busybox\nCOPY note.txt /\nRUN echo working\nCMD ["cat", "/note.txt"]\n')
    built = dockmagic("build", "-t", "hello", str(context))
    assert (built.returncode, built.stdout) == (0, "")
    assert "#2 [2/4] COPY note.txt /\n#2 DONE" in built.stderr
    assert " working\n" in built.stderr
    assert dockmagic("run", "--rm", "hello").stdout == "a note\n"
    assert "note.txt" in dockmagic("image", "tree", "hello").stdout
    assert dockmagic("build", "-q", str(context)).stdout.startswith("sha256:")


def test_a_container_in_the_background_is_followed_through_its_life() -> None:
    loop = "echo begun; while :; do :; done"
    identifier = dockmagic("run", "-d", "--name", "burn", "--cpus", "0.5", "busybox", "sh", "-c", loop).stdout.strip()
    assert len(identifier) == 64
    assert identifier[:12] in dockmagic("ps").stdout
    assert dockmagic("exec", "burn", "sh", "-c", "echo inside; exit 5").returncode == 5
    stats = dockmagic("stats", "--for", "1200ms", "burn").stdout.splitlines()
    assert stats[0].startswith("CONTAINER ID")
    assert stats[-1].startswith("burn: CPU")
    assert dockmagic("logs", "burn").stdout == "begun\n"
    assert dockmagic("stop", "-t", "0", "burn").stdout == "burn\n"
    assert dockmagic("wait", "burn").stdout == "137\n"
    assert dockmagic("rm", "burn").stdout == "burn\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_container_in_the_foreground(number: int) -> None:
    command = [*PROGRAM, "run", "--rm", "busybox", "sh", "-c", "echo begun; exec sleep 100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        began_s = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
        assert time.monotonic() - began_s < 5
    assert len(dockmagic("ps", "-a").stdout.splitlines()) == 1


def test_a_reader_that_goes_away_ends_it_and_the_container() -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(
        [*PROGRAM, "run", "--rm", "busybox", "yes"], stdout=writing, stderr=subprocess.PIPE
    ) as process:
        os.close(writing)
        assert os.read(reading, 2) == b"y\n"
        os.close(reading)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE
    assert len(dockmagic("ps", "-a").stdout.splitlines()) == 1
