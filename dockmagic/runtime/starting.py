"""From a waiting sandbox to a running container: hand over the spec, set the limits, wait for execve(2)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from dockmagic.errors import Failure
from dockmagic.oci.codec import decode, encode
from dockmagic.oci.spec import Mount, Resources, Spec
from dockmagic.runtime import propagation, protocol, request, rootfs
from dockmagic.runtime.sandbox import USUAL_SPEC, Sandbox
from dockmagic.runtime.stage import Failed, stage
from dockmagic.runtime.stdio import Log, Output, Sink
from dockmagic.runtime.stubs import Stubs


@dataclass(slots=True)
class Start:
    """A start in progress, and what there is to keep of it."""

    spec: Spec
    outputs: list[Output]
    stubs: Stubs = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    listener: socket.socket | None = None


def start(sandbox: Sandbox, asked: request.StartRequest, descriptors: Sequence[int], directory: str) -> Start:
    """Bring process 1 of the sandbox to its program; raises Failed.

    The process mounts its file systems while limits are set and the control socket is made; it goes on only when both
    are done.
    """
    outputs = hand_over(sandbox, asked, descriptors)
    spec = decode(Spec, json.loads(protocol.read_memory_file(descriptors[0])))
    os.close(descriptors[0])
    send_sources(sandbox, spec)
    begun = Start(spec, outputs)
    with stage("cgroup", "set limits"):
        begun.warnings = sandbox.limit(spec.linux.resources)
    with stage("monitor", "listen for requests"):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        begun.listener = protocol.listen(f"{directory}/{request.CONTROL_SOCKET}")
    sandbox.let_go()
    ready = sandbox.expect()
    if ready is None:
        raise Failed(Failure("init", 0, f"the process ended while it was being prepared{_oom_hint(sandbox)}"))
    begun.stubs = ready["stubs"]
    sandbox.expect()
    return begun


def _oom_hint(sandbox: Sandbox) -> str:
    return "; it ran out of memory: raise --memory" if sandbox.group.oom_kills() else ""


def hand_over(sandbox: Sandbox, asked: request.StartRequest, descriptors: Sequence[int]) -> list[Output]:
    """Send the process its spec and its ends of the streams; our ends come back."""
    streams = dict(zip(asked.streams, descriptors[1:], strict=True))
    stdio = [standard_input(streams.get("stdin"), asked)]
    log = Log(asked.log, asked.log_bytes, asked.log_files) if asked.log else None
    outputs = []
    for name in ("stdout", "stderr"):
        source, end = os.pipe2(os.O_CLOEXEC)
        stdio.append(end)
        outputs.append(Output(name, source, log, [Sink(streams[name])] if name in streams else []))
    sandbox.send_spec(descriptors[0], stdio)
    for descriptor in stdio:
        os.close(descriptor)
    return outputs


def send_sources(sandbox: Sandbox, spec: Spec) -> None:
    """Send a detached mount for everything of the host that the container shows; raises Failed."""
    sources = []
    for mount in rootfs.sources(spec):
        with stage("mounts", f"open {mount.source} for {mount.destination}"):
            propagation.check(mount)
            sources.append(rootfs.open_source(mount))
    sandbox.send_sources(sources)
    for descriptor in sources:
        os.close(descriptor)


def standard_input(given: int | None, asked: request.StartRequest) -> int:
    """What the container reads: the given stream, one that stays open where it is interactive, else nothing."""
    if given is not None:
        return given
    if not asked.interactive:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    end, _kept_open_by_this_process = os.pipe2(os.O_CLOEXEC)
    return end


def rehearse(sandbox: Sandbox, directory: str) -> None:
    """Use what a start will use, so that its memory is this process's own by then (see `init.rehearse`)."""
    asked = decode(request.StartRequest, json.loads(json.dumps(encode(request.StartRequest("", (), request.STREAMS)))))
    with contextlib.suppress(OSError, Failed):
        spec = decode(Spec, json.loads(json.dumps(encode(USUAL_SPEC))))
        rootfs.sources(spec)
        os.close(rootfs.open_source(Mount("/", "bind", directory, ("rbind",))))
        sandbox.limit(Resources())
        os.close(standard_input(None, asked))
        sandbox.group.oom_kills()
    source, end = os.pipe2(os.O_CLOEXEC)
    output = Output("stdout", source, None, [Sink(os.dup(end))])
    os.close(end)
    output.sinks[0].write(b"x")
    output.pump()
    os.close(source)
    output.finish()
