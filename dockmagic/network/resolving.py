"""The engine's side of the resolver: have one, and have it serve every container that it should.

It is a process of its own, since it loads a DNS library, and outlives the engine as containers do.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from dockmagic.errors import Unsupported
from dockmagic.runtime import protocol, resolution
from dockmagic.runtime.client import Client, plain_environment
from dockmagic.runtime.request import RESOLVER_LOG, RESOLVER_SOCKET

_START_TIMEOUT_S: Final = 20.0
_TRIES: Final = 5
_FEATURE: Final = "resolving names of containers"


class Resolving:
    """Speaks for one engine. Threads may share it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._lease: socket.socket | None = None

    @property
    def path(self) -> str:
        """Where the resolver listens."""
        return f"{self._client.run_dir}/{RESOLVER_SOCKET}"

    def hold(self, containers: Iterable[str]) -> None:
        """Have a resolver, for as long as this object is open at least, that serves those of the containers that run.

        One that was killed is replaced. Raises Unsupported where none can be had.
        """
        with self._lock:
            for attempt in range(_TRIES):
                try:
                    self._complete(self._connection(), containers)
                    return
                except OSError as error:
                    self._drop()
                    if attempt == _TRIES - 1:
                        raise Unsupported(_FEATURE, f"the resolver doesn't answer: {error}{self._said()}") from error

    def serve(self, container_id: str) -> None:
        """Have a running container served, which wasn't started so; raises Unsupported."""
        self.hold((container_id,))

    def close(self) -> None:
        """Don't hold it any more: it ends with the last container that it serves."""
        with self._lock:
            if self._lease is not None:
                with contextlib.suppress(OSError):
                    protocol.send(self._lease, {"op": "bye"})
            self._drop()

    def _drop(self) -> None:
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _connection(self) -> socket.socket:
        """The connection to the resolver, which is started where there is none; raises OSError, Unsupported."""
        if self._lease is None:
            try:
                self._lease = protocol.connect(self.path)
            except OSError:
                self._spawn()
                self._lease = protocol.connect(self.path)
            self._lease.settimeout(_START_TIMEOUT_S)
        return self._lease

    def _complete(self, connection: socket.socket, containers: Iterable[str]) -> None:
        """Hand over every container that runs, and isn't served."""
        protocol.send(connection, {"op": "list"})
        message, _ = protocol.receive(connection)
        if message is None:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        for container_id in sorted(set(containers) - set(message["containers"])):
            record = self._client.record(container_id)
            if record is not None and record.pid:
                with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it ends just now
                    resolution.announce(connection, container_id, record.pid)
                    resolution.heard(connection)

    def _spawn(self) -> None:
        """Start a resolver, and wait until it listens, or another does; raises Unsupported."""
        ready, end = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                self._execute(end)
            finally:
                os.close(end)
            poll = select.poll()
            poll.register(ready, select.POLLIN)
            if not poll.poll(_START_TIMEOUT_S * 1000):
                raise Unsupported(_FEATURE, f"the resolver is not ready after {_START_TIMEOUT_S:.0f} s")
        finally:
            os.close(ready)

    def _execute(self, end: int) -> None:
        """Start its process in a session of its own; who is started forks it and ends, so that nobody waits for it."""
        library = importlib.util.find_spec("dns")
        if library is None or library.origin is None:
            raise Unsupported(_FEATURE, "the package dnspython is missing; install it")
        run_dir = Path(self._client.run_dir)
        code = (
            f"import os, sys; os.fork() and os._exit(0); sys.path.insert(0, {str(Path(__file__).parents[2])!r}); "
            f"sys.path.append({str(Path(library.origin).parents[1])!r}); "
            "from dockmagic.network.resolver import main; "
            f"main({self._client.state_root!r}, {str(run_dir)!r}, {end})"
        )
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (run_dir / RESOLVER_LOG).open("ab") as log:
            subprocess.run(
                [sys.executable, "-I", "-S", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=plain_environment(os.environ),
                pass_fds=(end,),
                start_new_session=True,
                check=True,
            )

    def _said(self) -> str:
        """The resolver's last word, where it had one."""
        with contextlib.suppress(OSError):
            lines = (Path(self._client.run_dir) / RESOLVER_LOG).read_text().splitlines()
            return f"; it said: {lines[-1]}" if lines else ""
        return ""
