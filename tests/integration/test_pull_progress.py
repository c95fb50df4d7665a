"""What a pull shows where it has a terminal, and where it hasn't."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.faulty_proxy import FaultyProxy, cut, dripping, faulty_proxy, instead
from tests.integration.pull_scene import LAYER, NEW, REPOSITORY, TAG, upload
from tests.integration.registry_fixture import running_registry

pytestmark = [pytest.mark.root, pytest.mark.needs("docker-registry"), pytest.mark.usefixtures("state_root")]

_PIECES = re.compile(r"\x1b\[(\d*)([AJK])|\r\n|[^\x1b\r\n]+")


class Screen:
    """A terminal's lines, as far as what is written goes up, clears and writes; nothing else is allowed."""

    def __init__(self) -> None:
        self.lines: list[str] = [""]
        self.row = 0
        self.pictures: list[list[str]] = []

    def feed(self, text: str) -> None:
        """Carry out the text; a cleared rest of the screen is the end of a picture."""
        rest = text
        for match in _PIECES.finditer(text):
            assert rest.startswith(match[0]), repr(rest[:40])
            rest = rest[len(match[0]) :]
            if match[2] == "A":
                self.row -= int(match[1] or 1)
                assert self.row >= 0
            elif match[2] == "J":
                del self.lines[self.row + 1 :]
                self.lines[self.row] = ""
                self.pictures.append([line for line in self.lines if line])
            elif match[0] == "\r\n":
                self.row += 1
                self.lines += [""] if self.row == len(self.lines) else []
            elif match[2] != "K":
                self.lines[self.row] = match[0]
        assert rest == ""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyProxy]:
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        upload(registry.host)
        with faulty_proxy(registry.host) as proxy:
            yield proxy


def in_terminal(words: list[str], columns: int, lines: int) -> tuple[int, str]:
    """Exit status of the command, and what it wrote to a terminal of this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = os.environ | {"TERM": "xterm"}
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        written = bytearray()
        try:
            while data := os.read(ours, 1 << 16):
                written += data
        except OSError:  # EIO: everybody has closed it
            pass
        finally:
            os.close(ours)
        return process.wait(30), written.decode()


def test_a_terminal_has_a_table_that_is_renewed_in_place(proxy: FaultyProxy) -> None:
    proxy.behave()
    proxy.on(LAYER, cut(300_000), 1)
    proxy.on(LAYER, dripping(30_000, 0.04))
    name = f"{proxy.host}/{REPOSITORY}:1"
    status, written = in_terminal([sys.executable, "-m", "dockmagic", "pull", name], 70, 10)
    screen = Screen()
    screen.feed(written)
    assert status == 0
    moving = [picture for picture in screen.pictures if any("Downloading [=" in line for line in picture)]
    assert moving
    final = {line for line in screen.pictures[-1] if line.startswith("Digest: ")}  # it may be seen in pieces
    for picture in screen.pictures[:-1]:
        if final & set(picture):
            continue
        assert len(picture) <= 3
        assert all(len(line) < 70 for line in picture)
        assert re.match(r"1: looking the image up|1: [012] of 2 layers|Status: ", picture[-1])
    *layers, digest, result = screen.pictures[-1]
    assert [line.partition(": ")[2] for line in layers] == ["Pull complete"] * 2
    assert digest == f"Digest: {NEW.digest}"
    assert result.startswith(f"Status: Downloaded newer image for {name} · 601 kB in ")
    assert screen.lines[-2:] == [name, ""]


def test_elsewhere_there_are_lines(proxy: FaultyProxy, state_root: Path) -> None:
    proxy.behave()
    proxy.on(TAG, instead(503), 1)
    name = f"{proxy.host}/{REPOSITORY}:1"
    words = [sys.executable, "-m", "dockmagic", "pull", name]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert "\x1b" not in done.stderr
    first, *others = done.stderr.splitlines()
    assert re.match(r"Retrying in 0\.[12] s: the registry has trouble of its own with the manifest", first)
    lines = [line.partition(": ")[2] for line in others]
    assert lines.count("Pull complete") == 2
    assert "Downloading (600kB)" in lines
    assert done.stdout == f"{name}\n"
