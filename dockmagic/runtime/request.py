"""What the engine asks of a monitor, as values that travel in messages."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dockmagic.oci.codec import decode
from dockmagic.oci.image import Healthcheck
from dockmagic.oci.networks import Shape
from dockmagic.oci.options import RestartPolicy
from dockmagic.oci.spec import Process
from dockmagic.runtime.links import Interface
from dockmagic.runtime.protocol import Message

STREAMS = ("stdin", "stdout", "stderr")
LAUNCHER_SOCKET = "launcher"
START_SOCKET = "start"
LINKED_SOCKET = "start-linked"  # of monitors whose sandboxes have a link to the host already
CONTROL_SOCKET = "ctl"
LOG = "launcher.log"
RESOLVER_SOCKET = "resolver"
RESOLVER_LOCK = "resolver.lock"
RESOLVER_LOG = "resolver.log"
NOT_AWAKE = "awake"
"""The stage of an exec that fails since the container is paused, or waits to start again."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Start a container. The message carries the spec's memory file, then a descriptor for each name in `streams`,
    and where it `publishes` ports the channel that their sockets come from.

    `joined`: the containers (ids) whose namespaces it joins, by kind; the descriptors come last. `foreground`: the
    container ends with the connection that asked for it. `log` and `state` are files to write, "" for none; a log of
    `log_bytes` is put aside (0: never), so that there are `log_files`. `remove`: directories that go when the container
    has ended, and with `volumes` its unnamed volumes do. `journal` is the file of events, "" for none, and `attributes`
    are what they tell of the container. `interfaces` are its links to networks, and have this `shape`. `stop_signal` is
    the one that the user or the image has named, 0 where none has; `healthcheck` has all its values, `health` is the
    file for its results. `resolver` is the socket of who answers its queries for names, "" for nobody. `mounted` are
    names of volumes, and what events of their mounts tell.
    """

    container_id: str
    namespaces: tuple[str, ...]
    streams: tuple[str, ...] = ()
    publishes: bool = False
    joined: Mapping[str, str] = field(default_factory=dict)
    foreground: bool = False
    interactive: bool = False
    terminal: bool = False
    log: str = ""
    log_bytes: int = 0
    log_files: int = 1
    state: str = ""
    remove: tuple[str, ...] = ()
    volumes: bool = False
    journal: str = ""
    interfaces: tuple[Interface, ...] = ()
    resolver: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    shape: Shape = field(default_factory=Shape)
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    stop_signal: int = 0
    healthcheck: Healthcheck | None = None
    health: str = ""
    mounted: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def sorted_out(asked: StartRequest, descriptors: Sequence[int]) -> tuple[Sequence[int], int | None, dict[str, int]]:
    """What came with a request: the spec and the streams, the channel of the ports, the namespaces by kind."""
    own = 1 + len(asked.streams)
    ports = descriptors[own] if asked.publishes else None
    joined = zip(asked.joined, descriptors[own + asked.publishes :], strict=True)
    return descriptors[:own], ports, dict(joined)


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """Run one more process in the container; it travels in a memory file, before a descriptor for each of `streams`."""

    process: Process
    streams: tuple[str, ...] = ()
    foreground: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """What a monitor writes down of its container; times in ns since the epoch, 0 for "not yet".

    `cpu_ns` and `peak_memory_bytes` are what its processes used in all, known at the end. `boot` says in which run of
    the machine it was (runtime.boot), `stopped` whether somebody has asked it to end. One that is `restarting` has
    ended, and will start again. `health` is "" where nothing checks it.
    """

    pid: int = 0
    cgroup: str = ""
    started_ns: int = 0
    finished_ns: int = 0
    exit_status: int = 0
    oom_killed: bool = False
    error: str = ""
    cpu_ns: int = 0
    peak_memory_bytes: int = 0
    paused: bool = False
    restarting: bool = False
    restart_count: int = 0
    stopped: bool = False
    boot: str = ""
    health: str = ""
    failing_streak: int = 0


def record_of(message: Message) -> Record:
    """The record that a message brings along with its event."""
    return decode(Record, {key: value for key, value in message.items() if key != "event"})


def root_key(state_root: str) -> str:
    """Short name of a state root: part of its run directory's name and of its cgroups' names."""
    return f"{binascii.crc32(state_root.encode()):08x}"


def container_directory(run_dir: str, container_id: str) -> str:
    """Where the run-time files of a container are; half of the id keeps a socket's path short enough for the kernel."""
    return f"{run_dir}/{container_id[:32]}"
