"""The runtime spec: what a container is, as one value. Source: runtime-spec config.md and config-linux.md.

Field names are the specification's in snake_case; `dockmagic.oci.codec` turns a Spec into the JSON form and back. Some
fields are ours, since the specification leaves them to a layer above: `Root.overlay`, `Mount.overlay`, `Mount.content`
and `Mount.subpath`, `User.username` on Linux (looked up in the container's own passwd after pivot_root),
`Linux.seccomp_filter` (a compiled filter) and `Spec.init` (process 1 only reaps, and starts the process).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

READ_ONLY_TOP: Final = "ro-top"  # option of a bind: read-only itself, and nothing that is mounted below it


@dataclass(frozen=True, slots=True)
class Overlay:
    """A root made of layers. `lower` has the topmost first. Without `upper` the root is read-only.

    `volatile`: the upper is thrown away with the container, so nothing of it needs to reach the disk.
    """

    lower: tuple[str, ...]
    upper: str = ""
    work: str = ""
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount inside the container; `options` are those of mount(8), and "rprivate" and the like.

    With `overlay` it shows layers as one tree; with `content` (base64) a file with that in it, which no disk ever
    holds, and whose "mode=", "uid=" and "gid=" are among the options. With `subpath` a bind shows only that path below
    its source, or an overlay that path in it; links on the way lead no further than the source.
    """

    destination: str
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()
    overlay: Overlay | None = None
    content: str | None = field(default=None, repr=False)
    subpath: str = ""


@dataclass(frozen=True, slots=True)
class Root:
    """The root file system: a directory, or an overlay."""

    path: str = ""
    readonly: bool = False
    overlay: Overlay | None = None


@dataclass(frozen=True, slots=True)
class User:
    """Whom the process runs as. A `username` ("name", "uid", "name:group" …) replaces the numbers."""

    uid: int = 0
    gid: int = 0
    umask: int = 0o022
    additional_gids: tuple[int, ...] = ()
    username: str = ""
    additional_groups: tuple[str, ...] = ()  # names or numbers, looked up like `username`


@dataclass(frozen=True, slots=True)
class Rlimit:
    """A limit of setrlimit(2): type "RLIMIT_NOFILE", soft and hard value."""

    type: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The five sets of capabilities(7), with names such as "CAP_CHOWN"."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsoleSize:
    """Size of a terminal in characters."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Scheduler:
    """How the process is scheduled: "SCHED_OTHER" and so on, and the values of sched_setattr(2), times in ns."""

    policy: str
    nice: int = 0
    priority: int = 0
    flags: tuple[str, ...] = ()
    runtime: int = 0
    deadline: int = 0
    period: int = 0


@dataclass(frozen=True, slots=True)
class IOPriority:
    """Class ("IOPRIO_CLASS_BE" and so on) and level (0 to 7) of ioprio_set(2)."""

    class_: str = field(metadata={"key": "class"})
    priority: int = 0


@dataclass(frozen=True, slots=True)
class CPUAffinity:
    """Processors for what exec starts, as lists such as "0-2": before and after it has joined the control group."""

    initial: str = ""
    final: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """The process to start. `env` entries are "NAME=value"; `oom_score_adj` is that of proc(5), -1000 to 1000.

    `terminal`: it has one, of `console_size` where that is known. What follows `oom_score_adj` only bundles have.
    """

    args: tuple[str, ...]
    cwd: str = "/"
    env: tuple[str, ...] = ()
    user: User = field(default_factory=User)
    terminal: bool = False
    console_size: ConsoleSize | None = None
    capabilities: Capabilities = field(default_factory=Capabilities)
    rlimits: tuple[Rlimit, ...] = ()
    no_new_privileges: bool = False
    oom_score_adj: int | None = None
    scheduler: Scheduler | None = None
    io_priority: IOPriority | None = None
    exec_cpu_affinity: CPUAffinity | None = field(default=None, metadata={"key": "execCPUAffinity"})
    apparmor_profile: str = ""
    selinux_label: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """A device node to make: type "c" or "b"; a bundle's may be "u" (as "c"), or "p", a pipe."""

    path: str
    type: str
    major: int = 0
    minor: int = 0
    file_mode: int = 0o666
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """A rule of the device cgroup; `major` or `minor` None is every one; `access` some of "rwm"."""

    allow: bool
    type: str = "a"
    major: int | None = None
    minor: int | None = None
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class Memory:
    """Limits in bytes; -1 is "unlimited", None "not set". `swap` is memory plus swap together.

    `swappiness` is 0 to 100; it and the switch of the OOM killer are for cgroup v1 only.
    """

    limit: int | None = None
    swap: int | None = None
    reservation: int | None = None
    swappiness: int | None = None
    disable_oom_killer: bool = False


@dataclass(frozen=True, slots=True)
class CPU:
    """`shares` as on cgroup v1 (2 to 262144); `quota` and `period` in µs."""

    shares: int | None = None
    quota: int | None = None
    period: int | None = None
    cpus: str = ""
    mems: str = ""


@dataclass(frozen=True, slots=True)
class DeviceNumber:
    """A number for one block device: a weight (10 to 1000), or bytes or operations per second."""

    major: int
    minor: int
    number: int


@dataclass(frozen=True, slots=True)
class BlockIO:
    """Share of block I/O (`weight` 10 to 1000), and the most of it by device, per second."""

    weight: int | None = None
    weight_device: tuple[DeviceNumber, ...] = ()
    throttle_read_bps_device: tuple[DeviceNumber, ...] = ()
    throttle_write_bps_device: tuple[DeviceNumber, ...] = ()
    throttle_read_iops_device: tuple[DeviceNumber, ...] = ()
    throttle_write_iops_device: tuple[DeviceNumber, ...] = ()


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits of the container's cgroup; `pids_limit` counts tasks, -1 is "unlimited"."""

    memory: Memory = field(default_factory=Memory)
    cpu: CPU = field(default_factory=CPU)
    block_io: BlockIO = field(default_factory=BlockIO)
    pids_limit: int | None = None
    devices: tuple[DeviceRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace of type "pid", "mount", "uts", "ipc", "network", "cgroup", "user" or "time": new, or a path's."""

    type: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Linux:
    """The part of a spec that is Linux'. `seccomp_filter` is a BPF program in base64, "" for none.

    `sysctl` are kernel parameters of the container's own namespaces, by name.
    """

    namespaces: tuple[Namespace, ...] = ()
    resources: Resources = field(default_factory=Resources)
    cgroups_path: str = ""
    devices: tuple[Device, ...] = ()
    sysctl: Mapping[str, str] = field(default_factory=dict)
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    seccomp_filter: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """A container, ready to be made."""

    process: Process
    root: Root
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    linux: Linux = field(default_factory=Linux)
    init: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
