"""A pseudo-terminal of a container's own: opened by its process from its own devpts, moved by its monitor.

The process makes the pair and sends both ends to the monitor, which owns the master and keeps a copy of the slave until
the process has ended: as long as one is open, a program may close its terminal and open it again.
Source: pty(7), ioctl_tty(2), runtime-spec config.md "process.terminal" and "consoleSize".
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import termios
from dataclasses import dataclass
from typing import Final

from dockmagic.errors import Failure
from dockmagic.linux import mount as m
from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime.stage import Failed

CONSOLE: Final = "/dev/console"
_PTMX: Final = "/dev/pts/ptmx"
_PTMX_DEVICE: Final = os.makedev(5, 2)
_TIOCSPTLCK: Final = 0x40045431
_TIOCGPTPEER: Final = 0x5441  # Linux 4.13


@dataclass(frozen=True, slots=True)
class Pair:
    """Both ends of a pseudo-terminal."""

    master: int
    slave: int

    def close(self) -> None:
        """Close both ends."""
        os.close(self.master)
        os.close(self.slave)


def open_pair(size: ConsoleSize | None) -> Pair:
    """A new terminal of this size from the devpts of the mount namespace that this process is in; raises OSError.

    A container may have put anything in the place of the multiplexer, so that nothing else is taken for it; and the
    slave is asked of the master, so that no path is followed to it.
    """
    flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
    master = os.open(_PTMX, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        _check(master)
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, flags)
    except BaseException:
        os.close(master)
        raise
    if size is not None:
        resize(master, size)
    return Pair(master, slave)


def _check(master: int) -> None:
    """Raise OSError unless it is the multiplexer's."""
    status = os.fstat(master)
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != _PTMX_DEVICE:
        raise OSError(errno.ENODEV, "not the multiplexer of pseudo-terminals", _PTMX)


def resize(master: int, size: ConsoleSize) -> None:
    """Give the terminal this size; its foreground processes get SIGWINCH where it is another than before."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size.height & 0xFFFF, size.width & 0xFFFF, 0, 0))


def take_control(slave: int) -> None:
    """Make it the controlling terminal of this process, which must lead a session without one."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def make_console(slave: int) -> None:
    """Show the terminal as /dev/console, unless the user has mounted something there."""
    try:
        os.close(os.open(CONSOLE, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
    except FileExistsError:
        return
    flags = m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC | m.AT_EMPTY_PATH
    shown = m.open_tree(slave, "", flags)
    m.move_mount(shown, "", m.AT_FDCWD, CONSOLE, m.MOVE_MOUNT_F_EMPTY_PATH)
    os.close(shown)


def received(descriptors: list[int]) -> Pair:
    """The pair that a process has sent; raises Failed where that isn't one, which is closed then."""
    if len(descriptors) == 2 and all(stat.S_ISCHR(os.fstat(descriptor).st_mode) for descriptor in descriptors):
        os.set_blocking(descriptors[0], False)
        return Pair(*descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    raise Failed(Failure("terminal", errno.ENOTTY, "the process made no terminal"))


def read(master: int, size: int) -> bytes:
    """Some output; b"" when no process has the terminal any more. Raises BlockingIOError where there is none now."""
    try:
        return os.read(master, size)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""
