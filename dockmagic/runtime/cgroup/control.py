"""Control files and the directories they are in: small reads and writes, and walks through a subtree of groups."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator


def write(path: str, text: str) -> None:
    """One write(2) of the text to a control file; an OSError names the file and, in its note, the text."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        error.filename = path
        error.add_note(f"write {text!r}")
        raise
    finally:
        os.close(fd)


def try_write(path: str, text: str) -> None:
    """Write where the kernel lets us; a refusal shows in what can be read afterwards."""
    with contextlib.suppress(OSError):
        write(path, text)


def read(path: str) -> str:
    """Content of a control file; "" where the group or the file isn't there (any more)."""
    try:
        with open(path) as file:
            return file.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):  # ENODEV: removed between open and read
            return ""
        raise


def counter(text: str, name: str) -> int:
    """The number after `name` in lines of "name number"; 0 without it.

    >>> counter("oom_kill_disable 0\\nunder_oom 0\\noom_kill 3\\n", "oom_kill")
    3
    """
    prefix = f"{name} "
    return next((int(line[len(prefix) :]) for line in text.splitlines() if line.startswith(prefix)), 0)


def children(directory: str) -> list[str]:
    """The groups directly below a directory; none where it is gone."""
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def subtree(directory: str) -> Iterator[str]:
    """The directory and every group below it, parents first."""
    yield directory
    for child in children(directory):
        yield from subtree(child)


def remove_tree(directory: str) -> bool:
    """Remove a group with those below it; whether it is gone."""
    for path in reversed(list(subtree(directory))):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
