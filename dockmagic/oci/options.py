"""What a user may ask of a container, beyond its image: the meaning of `docker run`'s flags as one value.

Numbers are parsed already: sizes in bytes, CPUs as a fraction of one core's time (1.0 = one core). None means that the
flag wasn't given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypedDict

from dockmagic.oci.image import Healthcheck
from dockmagic.oci.networks import DEFAULT, NetworkOptions, Shape
from dockmagic.oci.ports import PortBinding, wanted
from dockmagic.oci.spec import BlockIO, ConsoleSize, DeviceRule, Mount, Rlimit
from dockmagic.oci.volumes import VolumeMount, VolumesFrom


@dataclass(frozen=True, slots=True)
class DeviceMapping:
    """A device of the host, or a directory of them, and where the container has it; `access` some of "rwm"."""

    source: str
    path: str
    access: str = "rwm"


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """GPUs of the host: the first `count` (-1: all), or `devices` by number or UUID; `capabilities` () are all."""

    count: int = 1
    devices: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How a container's output is kept: `driver` "json-file", "local" or "none"; `given` are the options by name.

    A file of `most_bytes` is put aside (0: never), so that there are at most `most_files`. `labels` and `env` name what
    `logs --details` tells of it, and `tag` is a template.
    """

    driver: str = "json-file"
    given: Mapping[str, str] = field(default_factory=dict)
    most_bytes: int = 0
    most_files: int = 1
    labels: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    tag: str = ""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Whether a container that has ended starts again: `name` "no", "on-failure", "always" or "unless-stopped".

    `most_retries` is how often it does after failures, 0 for any number.
    """

    name: str = "no"
    most_retries: int = 0


JOIN: Final = "container:"
"""Begins a mode that names the container whose namespace is joined."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of create and run; the names are the flags' own."""

    name: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None  # () clears the image's
    env: tuple[str, ...] = ()  # "NAME=value", in order; a later one wins, and "NAME" takes it away
    user: str = ""
    group_add: tuple[str, ...] = ()
    workdir: str = ""
    hostname: str = ""
    domainname: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pull: str = "missing"  # when the image is fetched: "always", "missing" or "never"
    platform: str = ""  # "os/arch[/variant]" of the image; "" is this machine's
    log: LogOptions = field(default_factory=LogOptions)
    interactive: bool = False
    tty: bool = False
    console_size: ConsoleSize | None = None  # of its terminal
    init: bool = False
    remove: bool = False
    detach: bool = False
    network: str = DEFAULT  # "none", "host", "container:ID", else the first network that it is connected to
    networks: tuple[NetworkOptions, ...] = ()  # how it is connected to that one, and to others
    net_rate_bits: int = 0  # bits a second in each direction, 0 for any number
    net_latency_us: int = 0  # that a packet takes more, in each direction
    pid: str = ""  # "" is a namespace of its own; "host" or "container:ID"
    ipc: str = ""  # "", "private", "shareable": of its own, "none" that without /dev/shm; "host" or "container:ID"
    uts: str = ""  # "" or "host"
    cgroupns: str = ""  # "" and "private" are one of its own; "host"
    extra_hosts: tuple[tuple[str, str], ...] = ()  # name and address, or "host-gateway": lines of /etc/hosts
    dns: tuple[str, ...] = ()  # addresses of servers, in place of the host's
    dns_search: tuple[str, ...] = ()  # domains, in place of the host's; "." alone is none
    dns_options: tuple[str, ...] = ()  # of resolv.conf, in place of the host's
    links: tuple[tuple[str, str], ...] = ()  # containers, by name at first, then ID, and what this one calls them
    publish: tuple[PortBinding, ...] = ()
    publish_all: bool = False  # every exposed port
    expose: tuple[str, ...] = ()  # "80/tcp"
    read_only: bool = False
    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[Mount, ...] = ()
    long_mounts: tuple[str, ...] = ()  # destinations of those that `--mount` names, which inspect shows apart
    volumes: tuple[VolumeMount, ...] = ()
    volumes_from: tuple[VolumesFrom, ...] = ()
    shm_size_bytes: int = 64 << 20
    memory_bytes: int | None = None
    memory_swap_bytes: int | None = None
    memory_reservation_bytes: int | None = None
    memory_swappiness: int | None = None  # 0 to 100, cgroup v1 only
    oom_kill_disable: bool = False  # cgroup v1 only
    oom_score_adj: int | None = None  # -1000 to 1000
    cpus: float | None = None
    cpu_shares: int | None = None
    cpu_period_us: int | None = None
    cpu_quota_us: int | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    block_io: BlockIO = field(default_factory=BlockIO)
    pids_limit: int | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)
    ulimits: tuple[Rlimit, ...] = ()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False  # all that the host may do: capabilities, devices, system calls, /sys
    devices: tuple[DeviceMapping, ...] = ()
    device_rules: tuple[DeviceRule, ...] = ()
    gpus: tuple[GpuRequest, ...] = ()
    no_new_privileges: bool = False
    seccomp: str = "default"  # "default", "unconfined" or "profile"
    seccomp_profile: str = field(default="", repr=False)  # the text of a profile in Docker's JSON form
    unconfined_paths: bool = False  # nothing of /proc and /sys is hidden or write-protected
    stop_signal: str = ""
    stop_timeout_s: int | None = None
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    healthcheck: Healthcheck | None = None  # what isn't given is the image's
    shell: tuple[str, ...] = ()  # of the image, for the command of a health check

    @property
    def shape(self) -> Shape:
        """How its links are slowed down."""
        return Shape(self.net_rate_bits, self.net_latency_us)

    def modes(self) -> Mapping[str, str]:
        """Where each namespace that may be another's comes from, by its kind in the runtime spec."""
        return {"network": self.network, "pid": self.pid, "ipc": self.ipc, "uts": self.uts, "cgroup": self.cgroupns}

    def bindings(self) -> tuple[PortBinding, ...]:
        """The ports that it publishes; none on the host's network, where they are the host's already."""
        return () if self.network == "host" else wanted(self.publish, self.expose, publish_all=self.publish_all)

    def joined(self) -> Mapping[str, str]:
        """The containers whose namespaces it joins, by kind; "shm" is whose shared memory goes with that of "ipc"."""
        joined = {kind: mode.removeprefix(JOIN) for kind, mode in self.modes().items() if mode.startswith(JOIN)}
        return {**joined, **({"shm": joined["ipc"]} if "ipc" in joined else {})}


class LimitChanges(TypedDict, total=False):
    """What can be changed while a container runs, as in RunOptions; what isn't given stays."""

    memory_bytes: int
    memory_swap_bytes: int
    memory_reservation_bytes: int
    cpus: float
    cpu_shares: int
    cpu_period_us: int
    cpu_quota_us: int
    cpuset_cpus: str
    cpuset_mems: str
    pids_limit: int
    net_rate_bits: int
    net_latency_us: int
    blkio_weight: int
    restart: RestartPolicy


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """Options of exec; what isn't given is the container's own."""

    command: tuple[str, ...]
    env: tuple[str, ...] = ()  # as in RunOptions
    user: str = ""
    workdir: str = ""
    interactive: bool = False
    tty: bool = False
    console_size: ConsoleSize | None = None
    privileged: bool = False
    detach: bool = False
