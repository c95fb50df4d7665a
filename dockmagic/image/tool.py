"""Another program's run: its output as lines while it works, its failure as an error that shows the last of them."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from dockmagic.errors import BuildError

_TAIL: Final = 12  # lines that an error shows
_LAST_WORDS_S: Final = 5.0  # how long the killed may take to be gone

OnLine = Callable[[str], None]


def ignore(line: str) -> None:
    """Take a line and do nothing."""


def find(name: str, path: str | None) -> str | None:
    """Where the program is in `path` (None: $PATH and the directories for administrators); None where it isn't."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin" if path is None else path)


def run(command: Sequence[str | Path], *, cwd: Path, on_line: OnLine = ignore) -> list[str]:
    """Lines that the command wrote to both of its streams. It is killed with all it started if this is interrupted.

    Raises BuildError where it ends with a status other than 0.
    """
    name = Path(command[0]).name
    lines: list[str] = []
    with _started(command, cwd) as (process, output):
        for text in output:
            lines.append(text.rstrip("\n"))
            on_line(lines[-1])
        status = process.wait()
    if status != 0:
        tail = "".join(f"\n  {line}" for line in deque(lines, maxlen=_TAIL))
        raise BuildError(f"{name} ended with status {status}:{tail}", step=" ".join(map(str, command)))
    return lines


@contextmanager
def _started(command: Sequence[str | Path], cwd: Path) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """The command in a process group of its own, which is gone at the end."""
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
    except OSError as error:
        raise BuildError(f"cannot start {command[0]}: {error.strerror}", step=str(command[0])) from error
    assert process.stdout is not None
    with process.stdout as output:
        try:
            yield process, output
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                _wait_for_end(output.fileno())


def _wait_for_end(fd: int) -> None:
    """Wait until all who could write to this pipe are gone, so that they write nowhere else either."""
    deadline = time.monotonic() + _LAST_WORDS_S
    while select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
        if not os.read(fd, 1 << 16):
            return
