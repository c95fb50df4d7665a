"""The terminal of a container that runs in the foreground: received, connected to this command's own, kept in size."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import tempfile
import termios
import tty
from collections.abc import Iterator
from types import FrameType


class Console:
    """A socket for a master to be sent to, and then what is typed and shown through it."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="dockmagic-oci-")
        self.path = f"{self._directory.name}/console"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._master = -1

    def receive(self) -> None:
        """Take the master that has been sent."""
        connection, _ = self._listener.accept()
        with connection:
            self._master = socket.recv_fds(connection, 4096, 1)[1][0]
        os.set_inheritable(self._master, False)

    def relay(self, pid: int) -> int:
        """Pass keys, output and sizes on until the process, our child, has ended; its wait status."""
        pidfd = os.pidfd_open(pid)
        with self._attended(), selectors.DefaultSelector() as selector:
            for source in (0, self._master, pidfd):
                with contextlib.suppress(PermissionError):  # a file is no source that one waits for
                    selector.register(source, selectors.EVENT_READ)
            ready: list[int] = []
            while pidfd not in ready:
                ready = [key.fd for key, _ in selector.select()]
                for source in ready:
                    if source != pidfd:
                        self._pass(source, selector)
        os.set_blocking(self._master, False)
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65536):
                os.write(1, data)
        os.close(pidfd)
        return os.waitpid(pid, 0)[1]

    def close(self) -> None:
        """Close everything."""
        self._listener.close()
        if self._master >= 0:
            os.close(self._master)
        self._directory.cleanup()

    def _pass(self, source: int, selector: selectors.BaseSelector) -> None:
        """Pass on what there is; a source at its end isn't asked again."""
        try:
            data = os.read(source, 65536)
        except OSError:
            data = b""
        if not data:
            selector.unregister(source)
            return
        target = self._master if source == 0 else 1
        while data:
            data = data[os.write(target, data) :]

    @contextlib.contextmanager
    def _attended(self) -> Iterator[None]:
        """Our own terminal raw, if it is one, and the container's as large."""
        if not os.isatty(0):
            yield
            return

        def resize(number: int, frame: FrameType | None) -> None:
            size = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

        before, handler = termios.tcgetattr(0), signal.signal(signal.SIGWINCH, resize)
        resize(0, None)
        tty.setraw(0)
        try:
            yield
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, before)
            signal.signal(signal.SIGWINCH, handler)


def wait(pid: int) -> int:
    """Wait for a child, which gets the signals that come here; its wait status."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.signal(number, lambda n, _: os.kill(pid, n)) for number in numbers}
    try:
        return os.waitpid(pid, 0)[1]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_status(status: int) -> int:
    """Exit status for a wait status: 128 and the number for a signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
