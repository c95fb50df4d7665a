"""A terminal of the test's own, with a command line in it."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 20.0


class Screen:
    """What a user at a terminal sees of `dockmagic …`, and does to it."""

    def __init__(self, words: tuple[str, ...], rows: int, columns: int) -> None:
        self.master, self._slave = os.openpty()
        self.resize(rows, columns, quietly=True)
        self.before = termios.tcgetattr(self._slave)
        self.shown = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LINE, *words], stdin=self._slave, stdout=self._slave, stderr=self._slave,
            start_new_session=True,
        )  # fmt: skip

    def resize(self, rows: int, columns: int, *, quietly: bool = False) -> None:
        """Give the terminal another size; the kernel tells those in it."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.master, text.encode())

    def wait_for(self, text: str) -> None:
        """Read until this was shown, and forget all up to it."""
        deadline = time.monotonic() + PATIENCE_S
        while text.encode() not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} was never shown, but {self.shown!r}"
            self._read(0.1)
        self.shown = self.shown.partition(text.encode())[2]

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self.master], [], [], timeout_s)[0]:
            return False
        self.shown += os.read(self.master, 65536)
        return True

    @property
    def raw(self) -> bool:
        """Whether keys go to the process as they are."""
        return not termios.tcgetattr(self._slave)[3] & termios.ICANON

    def end(self) -> int:
        """Wait for the end; the exit status. The terminal has to be as it was."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it doesn't end; it has shown {self.shown!r}"
            self._read(0.05)
        while self._read(0):
            pass
        assert termios.tcgetattr(self._slave) == self.before
        return self.process.returncode

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self._slave)


# The command line gets the terminal as its own, so that Ctrl-C and changes of size reach it.
_LINE = (
    "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "from dockmagic.cli import main; sys.exit(main(sys.argv[1:]))"
)


@contextmanager
def screen(*words: str, rows: int = 30, columns: int = 90) -> Iterator[Screen]:
    """A terminal in which the command line runs."""
    found = Screen(words, rows, columns)
    try:
        yield found
    finally:
        found.close()
