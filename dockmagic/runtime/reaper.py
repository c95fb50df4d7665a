"""The tiny init of `--init`: process 1, which starts the program as its child, reaps what dies, and forwards signals.

It is the process that made the container, and stays what that is: no program of the image's or the host's is needed.
Nobody may look into it, its arguments and environment are gone, and of the program's rights it keeps only that to send
signals. Of its memory, some 3 MB are the container's own; the rest it shares with the launcher.
Source: `docker run --init`, pid_namespaces(7), sigwait(3).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final, NoReturn

from dockmagic.linux import process as p

NAME: Final = "docker-init"
_FAULTS: Final = {
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGABRT,
    signal.SIGTRAP,
    signal.SIGSYS,
    signal.SIGTTIN,
    signal.SIGTTOU,
}
"""Signals that mean this process, and aren't passed on."""


def supervise(area: tuple[int, int], confine: Callable[[], None]) -> None:
    """Fork, and return in the child, which leads a session of its own; this process never returns.

    `area` is where its arguments and environment are, `confine` gives up its rights. The child goes on when they are
    gone.
    """
    given_up, end = os.pipe2(os.O_CLOEXEC)
    signals = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    child = os.fork()
    if child == 0:
        os.close(end)
        os.read(given_up, 1)
        os.close(given_up)
        os.setsid()
        return
    try:
        _hide(area, end)
        confine()
        os.close(end)
        _attend(child, signals - _FAULTS)
    finally:
        os._exit(125)


def _hide(area: tuple[int, int], kept: int) -> None:
    """Keep nothing of the host: descriptors, the launcher's arguments, the environment; others see a plain name."""
    os.closerange(0, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
    p.prctl(p.PR_SET_DUMPABLE, 0)
    p.prctl(p.PR_SET_CHILD_SUBREAPER, 1)  # with a pid namespace of another's it isn't process 1
    p.set_name(NAME)
    p.overwrite(area, NAME.encode())


def _attend(child: int, signals: set[signal.Signals]) -> NoReturn:
    """Reap and forward until the child ends; end as it did, 128+n for signal n.

    Handlers are never called, but they show that no signal is lost here, and keep the kernel from dropping any.
    """
    for number in signals:
        signal.signal(number, lambda *_: None)
    while True:
        received = signal.sigwait(signals)
        if received != signal.SIGCHLD:
            _forward(child, received)
            continue
        status = reap(child)
        if status is not None:
            os._exit(status)


def _forward(child: int, number: int) -> None:
    """Send the child a signal; one that ends just now doesn't need it, one of another user's doesn't get it."""
    try:
        os.kill(child, number)
    except OSError:
        return


def reap(child: int) -> int | None:
    """Take the status of every process that has ended; the child's exit status, None while it lives."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code
