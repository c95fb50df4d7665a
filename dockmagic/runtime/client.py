"""The engine's side of the launcher and of the monitors: find them, ask them, wait for their answers."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dockmagic.errors import ContainerError, StartFailed, Unsupported
from dockmagic.linux import mount as m
from dockmagic.oci.codec import encode
from dockmagic.oci.networks import Shape
from dockmagic.oci.options import RestartPolicy, RunOptions
from dockmagic.oci.ports import Published
from dockmagic.oci.spec import Resources, Spec
from dockmagic.runtime import leftovers, protocol
from dockmagic.runtime.joining import open_namespaces
from dockmagic.runtime.links import Interface
from dockmagic.runtime.making import generated_files
from dockmagic.runtime.networking import NOWHERE, Networking, Prepare, nowhere, with_variables
from dockmagic.runtime.ports.opening import published
from dockmagic.runtime.process import exit_status
from dockmagic.runtime.request import (
    CONTROL_SOCKET,
    LAUNCHER_SOCKET,
    LINKED_SOCKET,
    LOG,
    START_SOCKET,
    ExecRequest,
    Record,
    StartRequest,
    container_directory,
    record_of,
)
from dockmagic.trees import close_to_others, make_private

_GONE: Final = (errno.ENOENT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE)
_TRIES: Final = 5
LAUNCHER_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Started:
    """A container that runs, and the connection on which its end will be told (the receiver's to close).

    `stubs` had to be made in the image's tree (see runtime.stubs).
    """

    connection: socket.socket
    record: Record
    warnings: tuple[str, ...]
    stubs: Sequence[Sequence[int | str]]


class Client:
    """Speaks for one engine. Threads may share it."""

    def __init__(self, state_root: Path, run_dir: Path) -> None:
        self.state_root = str(state_root)
        self.run_dir = str(run_dir)
        self._lock = threading.Lock()
        self._lease: socket.socket | None = None
        self.network: Prepare = nowhere

    def start(
        self, request: StartRequest, spec_text: str, descriptors: Sequence[int], networking: Networking = NOWHERE
    ) -> Started:
        """Start a container of this spec, in its JSON form; `descriptors`, the caller's, are those that it is about.

        Raises StartFailed with Docker's exit status, Unsupported where no launcher can be had.
        """
        if networking.env:
            spec_text = with_variables(spec_text, networking.env)
        spec_file = protocol.memory_file(spec_text.encode())
        try:
            asked = encode(replace(request, interfaces=networking.interfaces, resolver=networking.resolver))
            connection, message = self._ask(asked, (spec_file, *descriptors))
        finally:
            os.close(spec_file)
        warnings, made = (*networking.warnings, *message.pop("warnings")), message.pop("stubs")
        return Started(connection, record_of(message), warnings, made)

    def execute(self, container_id: str, request: ExecRequest, descriptors: Sequence[int]) -> socket.socket | None:
        """Start one more process in a running container; None where it doesn't run. Raises StartFailed."""
        connection = self.control(container_id)
        if connection is None:
            return None
        request_file = protocol.memory_file(json.dumps(encode(request)).encode())
        try:
            protocol.send(connection, {"op": "exec"}, (request_file, *descriptors))
            _answer(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError) and error.errno in _GONE:  # it ends just now
                return None
            raise
        finally:
            os.close(request_file)
        return connection

    def attach(self, container_id: str, streams: Sequence[str], descriptors: Sequence[int]) -> Started | None:
        """Connect these streams to a running container; None where it doesn't run."""
        connection = self.control(container_id)
        if connection is None:
            return None
        try:
            protocol.send(connection, {"op": "attach", "streams": list(streams)}, descriptors)
            message = _answer(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError) and error.errno in _GONE:  # it ends just now
                return None
            raise
        return Started(connection, record_of(message), (), ())

    @contextlib.contextmanager
    def prepared(self, container_id: str, spec: Spec, options: RunOptions) -> Iterator[Networking]:
        """Have the container's addresses and its generated files there for a start inside the context.

        Raises Unsupported, and what `network` raises.
        """
        with contextlib.ExitStack() as stack:
            try:
                self._keep_run_directory()
                stack.enter_context(leftovers.claim(container_directory(self.run_dir, container_id)))
                self._hold_lease()  # from now on there is somebody who takes down what is put up for it
                networking = self.network(container_id, options)
                stack.enter_context(generated_files(spec, options, networking))
            except OSError as error:
                why = f"cannot write to {error.filename or self.run_dir}, where run-time files go: {error.strerror}"
                raise Unsupported("starting containers", why) from error
            yield networking

    @contextlib.contextmanager
    def namespaces(self, joined: Mapping[str, str]) -> Iterator[tuple[int, ...]]:
        """Descriptors of namespaces of other containers, whose ids are given by kind, in the order of the kinds.

        Raises Conflict where such a container doesn't run.
        """
        found = open_namespaces(self.run_dir, joined)
        try:
            yield tuple(found.values())
        finally:
            for descriptor in found.values():
                os.close(descriptor)

    def published(self, container_id: str) -> tuple[Published, ...]:
        """What ports of the host lead to a container that runs."""
        return published(container_directory(self.run_dir, container_id))

    def control(self, container_id: str) -> socket.socket | None:
        """Connection to the container's monitor; None where there is none, so that the container doesn't run."""
        try:
            return protocol.connect(f"{container_directory(self.run_dir, container_id)}/{CONTROL_SOCKET}")
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise

    def record(self, container_id: str) -> Record | None:
        """What the container's monitor knows of it now; None where it doesn't run."""
        answer = self._query(container_id, {"op": "state"})
        return None if answer is None else record_of(answer)

    def signal(self, container_id: str, number: int, *, thaw: bool = False) -> bool:
        """Send a signal to the container's process 1, which goes on with `thaw`; False where it doesn't run."""
        return self._query(container_id, {"op": "signal", "signal": number, "thaw": thaw}) is not None

    def freeze(self, container_id: str, *, frozen: bool) -> bool:
        """Make its processes stand still, or go on; False where it doesn't run or they do already.

        Raises ContainerError where the kernel refuses.
        """
        answer = self._asked(container_id, {"op": "freeze", "frozen": frozen})
        return answer is not None and bool(answer["changed"])

    def connect(self, container_id: str, interface: Interface) -> bool:
        """Make a link for a container, in place of one with the same name; False where it doesn't run.

        Raises ContainerError.
        """
        self.disconnect(container_id, interface.name)
        return self._asked(container_id, {"op": "connect", "interface": encode(interface)}) is not None

    def disconnect(self, container_id: str, name: str) -> bool:
        """Remove a container's link, if it has that; False where it doesn't run. Raises ContainerError."""
        return self._asked(container_id, {"op": "disconnect", "interface": name}) is not None

    def reroute(self, container_id: str, interface: Interface) -> bool:
        """Have a container's link be its way out, or not; False where it doesn't run. Raises ContainerError."""
        return self._asked(container_id, {"op": "reroute", "interface": encode(interface)}) is not None

    def shape(self, container_id: str, wanted: Shape) -> bool:
        """Have a container's links so fast and so late; False where it doesn't run. Raises ContainerError."""
        return self._asked(container_id, {"op": "shape", "shape": encode(wanted)}) is not None

    def _asked(self, container_id: str, message: protocol.Message) -> protocol.Message | None:
        """The monitor's answer to a message; None where the container doesn't run. Raises ContainerError."""
        answer = self._query(container_id, message)
        if answer is not None and answer["event"] == "failed":
            raise ContainerError(f"container {container_id[:12]}: {protocol.failure(answer).reason}")
        return answer

    def update(self, container_id: str, restart: RestartPolicy, limits: Resources) -> None:
        """Tell the container's monitor, if it runs, how to restart it, and with which limits."""
        message = {"op": "update", "restart": encode(restart), "resources": encode(limits)}
        self._query(container_id, message)

    def rename(self, container_id: str, name: str) -> None:
        """Tell the container's monitor, if it runs, how it is called from now on."""
        self._query(container_id, {"op": "rename", "name": name})

    def _query(self, container_id: str, message: protocol.Message) -> protocol.Message | None:
        """The monitor's answer to a message; None where the container doesn't run."""
        connection = self.control(container_id)
        if connection is None:
            return None
        with connection:
            try:
                protocol.send(connection, message)
                return protocol.receive(connection)[0]
            except OSError:
                return None

    def wait(self, container_id: str, timeout_s: float | None = None) -> Record | None:
        """Wait until the container has ended; its record then, None where nothing answers. Raises TimeoutError."""
        connection = self.control(container_id)
        if connection is None:
            return None
        with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            protocol.send(connection, {"op": "wait"})
            if not _readable(connection.fileno(), timeout_s):
                raise TimeoutError
            message, _ = protocol.receive(connection)
            return None if message is None else record_of(message)
        return None

    def close(self) -> None:
        """Give up the lease; the launcher ends as soon as nobody else needs it. The client can be used again."""
        with self._lock:
            if self._lease is not None:
                try:
                    protocol.send(self._lease, {"op": "bye"})
                except OSError:
                    from dockmagic.runtime import launcher  # much to import, and seldom needed here

                    launcher.clean_up(self.state_root, self.run_dir)
        self._drop_lease()

    def _ask(self, message: protocol.Message, descriptors: Sequence[int]) -> tuple[socket.socket, protocol.Message]:
        """Send a request to a waiting monitor; its first answer. A launcher that ended meanwhile is replaced."""
        for attempt in range(_TRIES):
            connection = None
            try:
                self._hold_lease()
                place = LINKED_SOCKET if message.get("interfaces") else START_SOCKET
                connection = protocol.connect(f"{self.run_dir}/{place}")
                protocol.send(connection, message, descriptors)
                return connection, _answer(connection)
            except OSError as error:
                if connection is not None:
                    connection.close()
                if error.errno not in _GONE or attempt == _TRIES - 1:
                    feature = "starting containers"
                    raise Unsupported(feature, f"the launcher does not answer: {error}{self._log()}") from error
                self._drop_lease()
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
        raise AssertionError("unreachable")

    def _log(self) -> str:
        """The launcher's last word, where it had one."""
        with contextlib.suppress(OSError):
            lines = (Path(self.run_dir) / LOG).read_text().splitlines()
            return f"; it said: {lines[-1]}" if lines else ""
        return ""

    def _hold_lease(self) -> None:
        """Have a connection to the launcher, which stays as long as it is open; one is started where there is none."""
        with self._lock:
            for attempt in range(_TRIES if self._lease is None else 0):
                try:
                    self._lease = protocol.connect(f"{self.run_dir}/{LAUNCHER_SOCKET}")
                    break
                except OSError:  # there is none, or one that is just ending
                    if attempt == _TRIES - 1:
                        raise
                    self._spawn()

    def _drop_lease(self) -> None:
        """Close the connection to the launcher."""
        with self._lock:
            if self._lease is not None:
                self._lease.close()
                self._lease = None

    def _spawn(self) -> None:
        """Start a launcher in a session of its own, and wait until it listens."""
        self._keep_run_directory()
        ready, end = os.pipe2(os.O_CLOEXEC)
        with open(ready, "rb") as pipe:
            try:
                self._execute_launcher(end)
            finally:
                os.close(end)
            if not _readable(pipe.fileno(), LAUNCHER_TIMEOUT_S):
                raise Unsupported("starting containers", f"the launcher is not ready after {LAUNCHER_TIMEOUT_S:.0f} s")

    def _keep_run_directory(self) -> None:
        """Have the directory and the one above it for nobody else, whatever was there; raises OSError."""
        make_private(self.run_dir)
        for path in (os.path.dirname(self.run_dir), self.run_dir):
            close_to_others(path)

    def _execute_launcher(self, end: int) -> None:
        """Start its process, which closes the descriptor when it listens."""
        package = Path(__file__).resolve().parents[2]
        # The process that is started forks the launcher and ends, so that nobody here has to wait for the launcher.
        code = (
            f"import os, sys; os.fork() and os._exit(0); sys.path.insert(0, {str(package)!r}); "
            "from dockmagic.runtime.launcher import main; "
            f"main({self.state_root!r}, {self.run_dir!r}, {end}, %d)"
        )
        with _program() as (path, program), (Path(self.run_dir) / LOG).open("wb") as log:
            subprocess.run(
                [sys.executable, "-I", "-S", "-c", code % program],
                executable=path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=plain_environment(os.environ),
                pass_fds=(end,) if program < 0 else (end, program),
                start_new_session=True,
                check=True,
            )


def plain_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a launcher needs of the environment. The rest may be secret, and all processes that it forks would have it.

    >>> plain_environment({"LANG": "C", "TOKEN": "secret", "DOCKMAGIC_ROOT": "/r"})
    {'LANG': 'C', 'DOCKMAGIC_ROOT': '/r'}
    """
    return {
        name: value
        for name, value in environment.items()
        if name in {"PATH", "LANG", "TMPDIR", "TZ"} or name.startswith(("DOCKMAGIC_", "LC_", "LD_"))
    }


@contextlib.contextmanager
def _program() -> Iterator[tuple[str, int]]:
    """Path of this Python, and the descriptor that the path goes through, -1 where it is the plain path.

    A container may name /proc/self/exe as its program, which is the launcher's until then, and so get hold of the
    host's file (CVE-2019-5736). Through a mount that is read-only it can change neither the file nor its mode.
    """
    try:
        mount = m.open_tree(m.AT_FDCWD, os.path.realpath(sys.executable), m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC)
    except OSError:  # no right to mount anything: then nothing will start, and init says why
        yield sys.executable, -1
        return
    try:
        with contextlib.suppress(OSError):  # before Linux 5.12
            m.mount_setattr(mount, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)
        yield f"/proc/self/fd/{mount}", mount
    finally:
        os.close(mount)


def _readable(descriptor: int, timeout_s: float | None) -> bool:
    """Whether the descriptor has something to read, or has ended, in time; any number of it is fine."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


def _answer(connection: socket.socket) -> protocol.Message:
    """The first answer on this connection; raises StartFailed for a failure, ECONNRESET for none."""
    message, _ = protocol.receive(connection)
    if message is None:
        raise OSError(errno.ECONNRESET, "the connection ended without an answer")
    if message["event"] == "failed":
        failure = protocol.failure(message)
        raise StartFailed(failure, exit_status(failure))
    return message
