"""What an attacker in a container has: this machine's Python, to make any system call, and time to win races."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dockmagic.oci.spec import Mount

_PRELUDE = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    "Name of the errno that a call gives, else its result."
    words = [word.encode() if isinstance(word, str) else word for word in arguments]
    result = getattr(libc, name)(*words)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result
def attempt(action, *arguments):
    "Name of the errno that an action fails with, else 'done'."
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
"""


def bind(source: Path | str, destination: str, *options: str) -> Mount:
    """A bind mount of something of the host."""
    return Mount(destination, "bind", str(source), ("rbind", "rprivate", *options))


def interpreter() -> tuple[Mount, ...]:
    """Mounts, for reading, of all that this machine's Python needs."""
    wanted = dict.fromkeys(("/usr", "/lib", "/lib64", sys.base_prefix))
    return tuple(bind(os.path.realpath(path), path, "ro") for path in wanted if Path(path).exists())


def python(code: str) -> tuple[str, ...]:
    """The command that runs the code, in which `call` and `attempt` are there."""
    return (os.path.realpath(sys.executable), "-I", "-S", "-c", _PRELUDE + code)


@contextmanager
def again_and_again(action: Callable[[], None]) -> Iterator[None]:
    """Do something as often as possible while the block lasts."""
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            action()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
