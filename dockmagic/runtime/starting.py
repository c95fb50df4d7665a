"""From a waiting sandbox to a running container: hand over the spec, set the limits, wait for execve(2)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dockmagic.errors import Failure
from dockmagic.oci.codec import decode, encode
from dockmagic.oci.options import JOIN
from dockmagic.oci.spec import Mount, Resources, Spec
from dockmagic.runtime import propagation, protocol, request, resolution, rootfs
from dockmagic.runtime.links import connect_all
from dockmagic.runtime.sandbox import USUAL_SPEC, Sandbox
from dockmagic.runtime.stage import Failed, stage
from dockmagic.runtime.stdio import Log, Output, Sink
from dockmagic.runtime.streams import Feed, Stdio, of_terminal
from dockmagic.runtime.stubs import Stubs
from dockmagic.runtime.terminal import received


@dataclass(slots=True)
class Start:
    """A start in progress, and what there is to keep of it."""

    spec: Spec
    stdio: Stdio
    log: Log | None
    stubs: Stubs = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    listener: socket.socket | None = None


def start(
    sandbox: Sandbox,
    asked: request.StartRequest,
    descriptors: Sequence[int],
    directory: str,
    before: Start | None = None,
) -> Start:
    """Bring process 1 of the sandbox to its program; raises Failed.

    The process mounts its file systems while limits are set and the control socket is made; it goes on only when both
    are done. The log and the socket of the start `before` go on.
    """
    given = dict(zip(asked.streams, descriptors[1:], strict=True))
    log = before.log if before else Log(asked.log, asked.log_bytes, asked.log_files) if asked.log else None
    stdio = hand_over(sandbox, asked, descriptors[0], given, log)
    spec = decode(Spec, json.loads(protocol.read_memory_file(descriptors[0])))
    os.close(descriptors[0])
    begun = Start(spec, stdio, log, listener=before.listener if before else None)
    with resolution.served(asked.resolver, asked.container_id, sandbox.pid, begun.warnings):
        send_sources(sandbox, spec)
        if asked.interfaces:
            connect_all(sandbox.network, asked.interfaces, sandbox.link)
        with stage("cgroup", "set limits"):
            begun.warnings += sandbox.limit(spec.linux.resources)
        if begun.listener is None:
            with stage("monitor", "listen for requests"):
                os.makedirs(directory, mode=0o700, exist_ok=True)
                begun.listener = protocol.listen(f"{directory}/{request.CONTROL_SOCKET}")
    sandbox.let_go()
    ready, made = sandbox.expect()
    if ready is None:
        raise Failed(Failure("init", 0, f"the process ended while it was being prepared{_oom_hint(sandbox)}"))
    begun.stubs = ready["stubs"]
    if asked.terminal:
        begun.stdio = of_terminal(received(made), given, log)
    sandbox.expect()
    return begun


def _oom_hint(sandbox: Sandbox) -> str:
    return "; it ran out of memory: raise --memory" if sandbox.group.oom_kills() else ""


def hand_over(
    sandbox: Sandbox, asked: request.StartRequest, spec: int, given: Mapping[str, int], log: Log | None
) -> Stdio:
    """Send the process its spec and its ends of the streams; our ends come back. A terminal it makes itself."""
    if asked.terminal:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        sandbox.send_spec(spec, [null] * len(request.STREAMS))
        os.close(null)
        return Stdio()
    end, feed = standard_input(given.get("stdin"), asked)
    ends, outputs = [end], []
    for name in ("stdout", "stderr"):
        source, end = os.pipe2(os.O_CLOEXEC)
        ends.append(end)
        outputs.append(Output(name, source, log, [Sink(given[name])] if name in given else []))
    sandbox.send_spec(spec, ends)
    for descriptor in ends:
        os.close(descriptor)
    return Stdio(outputs, feed)


def send_sources(sandbox: Sandbox, spec: Spec) -> None:
    """Send a detached mount for everything of the host that the container shows; raises Failed."""
    sources = []
    for mount in rootfs.sources(spec):
        if mount.source.startswith(JOIN):
            sources.append(sandbox.shared_memory)
            continue
        with stage("mounts", f"open {mount.source} for {mount.destination}"):
            propagation.check(mount)
            sources.append(rootfs.open_source(mount))
    sandbox.send_sources(sources)
    for descriptor in sources:
        os.close(descriptor)


def standard_input(given: int | None, asked: request.StartRequest) -> tuple[int, Feed | None]:
    """What the container reads: nothing, or where it is interactive a pipe and what feeds it, from `given` at first."""
    if given is None and not asked.interactive:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), None
    end, ours = os.pipe2(os.O_CLOEXEC)
    feed = Feed(ours, once=given is not None)
    feed.sources += [] if given is None else [given]
    return end, feed


def rehearse(sandbox: Sandbox, directory: str) -> None:
    """Use what a start will use, so that its memory is this process's own by then (see `init.rehearse`)."""
    asked = decode(request.StartRequest, json.loads(json.dumps(encode(request.StartRequest("", (), request.STREAMS)))))
    with contextlib.suppress(OSError, Failed):
        spec = decode(Spec, json.loads(json.dumps(encode(USUAL_SPEC))))
        rootfs.sources(spec)
        os.close(rootfs.open_source(Mount("/", "bind", directory, ("rbind",))))
        sandbox.limit(Resources())
        os.close(standard_input(None, asked)[0])
        sandbox.group.oom_kills()
    source, end = os.pipe2(os.O_CLOEXEC)
    output = Output("stdout", source, None, [Sink(os.dup(end))])
    os.close(end)
    output.sinks[0].write(b"x")
    output.pump()
    os.close(source)
    output.finish()
