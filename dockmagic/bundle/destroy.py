"""The end of a container: its processes, its control group, what was written down. Source: runtime.md "Delete"."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Final

from dockmagic.bundle import hooks, state
from dockmagic.errors import ContainerError

_PATIENCE_S: Final = 10.0
_PAUSE_S: Final = 0.005


def destroy(containers: state.Containers, container: state.Container, warn: Callable[[str], None]) -> None:
    """Kill what is left of the container and undo its creation, then run the hooks for its end. Idempotent.

    Raises ContainerError where the kernel doesn't let go of it; then its id stays in use.
    """
    group, namespace = container.group, container.config.namespace("pid")
    end(container)
    if container.record.own_cgroup:
        if namespace is None or namespace.path:  # else all processes have ended with the first
            group.kill()
        if not group.remove(_PATIENCE_S):
            raise ContainerError(f"container {container.record.id}: its control group is still in use")
    containers.forget(container.record.id)
    hooks.run_all("poststop", container.config.hooks.poststop, container.document("stopped"), warn)


def end(container: state.Container) -> None:
    """Kill the process, and wait until it is gone."""
    record, deadline = container.record, time.monotonic() + _PATIENCE_S
    while record.pid and state.ticks(record.pid) == record.ticks and time.monotonic() < deadline:
        send(container, signal.SIGKILL)
        with contextlib.suppress(OSError):
            container.group.thaw()
        time.sleep(_PAUSE_S)
    if record.pid:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(record.pid, os.WNOHANG)


def send(container: state.Container, number: int) -> bool:
    """Send the container's process a signal; whether there was one. Never another process of the same number."""
    try:
        pidfd = os.pidfd_open(container.record.pid)
    except OSError:
        return False
    try:
        if state.ticks(container.record.pid) != container.record.ticks:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True
