"""A bundle's config.json as the runtime-spec writes it. Source: runtime-spec config.md and config-linux.md. Pure.

Where our own Spec has the same shape its classes are used; the names here are the specification's, so that the JSON
form of a Config is a standard document. Fields without a class of their own stay as they came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dockmagic.oci.spec import Device, DeviceRule, Namespace, Process

VERSION: Final = "1.2.0"  # of the specification that this follows
WRITTEN: Final = "1.0.2"  # of documents that are written here, so that every runtime reads them


def _key(name: str) -> Mapping[str, str]:
    """The name in JSON of a field where camel case doesn't give it."""
    return {"key": name}


@dataclass(frozen=True, slots=True)
class IDMapping:
    """`size` ids from `container_id` on are those from `host_id` on outside."""

    container_id: int = field(metadata=_key("containerID"))
    host_id: int = field(metadata=_key("hostID"))
    size: int


@dataclass(frozen=True, slots=True)
class Root:
    """The root file system, relative to the bundle or absolute."""

    path: str
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount; `options` are those of mount(8) and some of the specification's own."""

    destination: str
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()
    uid_mappings: tuple[IDMapping, ...] = ()
    gid_mappings: tuple[IDMapping, ...] = ()


@dataclass(frozen=True, slots=True)
class Hook:
    """A program to run at one point of a container's life; `timeout` in seconds."""

    path: str
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    timeout: int | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """The points of a container's life, in order, and what is run there."""

    prestart: tuple[Hook, ...] = ()
    create_runtime: tuple[Hook, ...] = ()
    create_container: tuple[Hook, ...] = ()
    start_container: tuple[Hook, ...] = ()
    poststart: tuple[Hook, ...] = ()
    poststop: tuple[Hook, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """Limits in bytes; -1 is "unlimited"."""

    limit: int | None = None
    reservation: int | None = None
    swap: int | None = None
    kernel: int | None = None
    kernel_tcp: int | None = field(default=None, metadata=_key("kernelTCP"))
    swappiness: int | None = None
    disable_oom_killer: bool = field(default=False, metadata=_key("disableOOMKiller"))
    use_hierarchy: bool | None = None
    check_before_update: bool | None = None


@dataclass(frozen=True, slots=True)
class CPU:
    """Shares and times (µs) of the processors."""

    shares: int | None = None
    quota: int | None = None
    burst: int | None = None
    period: int | None = None
    realtime_runtime: int | None = None
    realtime_period: int | None = None
    cpus: str = ""
    mems: str = ""
    idle: int | None = None


@dataclass(frozen=True, slots=True)
class WeightDevice:
    """Weights of one block device."""

    major: int
    minor: int
    weight: int | None = None
    leaf_weight: int | None = None


@dataclass(frozen=True, slots=True)
class ThrottleDevice:
    """Bytes or operations per second of one block device."""

    major: int
    minor: int
    rate: int


@dataclass(frozen=True, slots=True)
class BlockIO:
    """Weights and limits of block devices."""

    weight: int | None = None
    leaf_weight: int | None = None
    weight_device: tuple[WeightDevice, ...] = ()
    throttle_read_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_write_bps_device: tuple[ThrottleDevice, ...] = ()
    throttle_read_iops_device: tuple[ThrottleDevice, ...] = field(default=(), metadata=_key("throttleReadIOPSDevice"))
    throttle_write_iops_device: tuple[ThrottleDevice, ...] = field(default=(), metadata=_key("throttleWriteIOPSDevice"))


@dataclass(frozen=True, slots=True)
class Pids:
    """The most tasks; -1 is "unlimited"."""

    limit: int | None = None


@dataclass(frozen=True, slots=True)
class HugepageLimit:
    """The most bytes in huge pages of one size, such as "2MB"."""

    page_size: str
    limit: int


@dataclass(frozen=True, slots=True)
class InterfacePriority:
    """Priority of what is sent over a network interface."""

    name: str
    priority: int


@dataclass(frozen=True, slots=True)
class Network:
    """The class and the priorities of a container's packets."""

    class_id: int | None = field(default=None, metadata=_key("classID"))
    priorities: tuple[InterfacePriority, ...] = ()


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits of the container's control group; `unified` are files of cgroup v2 and their text."""

    devices: tuple[DeviceRule, ...] = ()
    memory: Memory = field(default_factory=Memory)
    cpu: CPU = field(default_factory=CPU)
    pids: Pids = field(default_factory=Pids)
    block_io: BlockIO = field(default_factory=BlockIO, metadata=_key("blockIO"))
    hugepage_limits: tuple[HugepageLimit, ...] = ()
    network: Network = field(default_factory=Network)
    rdma: Mapping[str, Any] = field(default_factory=dict)
    unified: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Personality:
    """The execution domain of personality(2): "LINUX" or "LINUX32"."""

    domain: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Linux:
    """The part of a config that is Linux'."""

    namespaces: tuple[Namespace, ...] = ()
    uid_mappings: tuple[IDMapping, ...] = ()
    gid_mappings: tuple[IDMapping, ...] = ()
    time_offsets: Mapping[str, Any] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    net_devices: Mapping[str, Any] = field(default_factory=dict)
    cgroups_path: str = ""
    resources: Resources = field(default_factory=Resources)
    intel_rdt: Mapping[str, Any] = field(default_factory=dict)
    memory_policy: Mapping[str, Any] = field(default_factory=dict)
    sysctl: Mapping[str, str] = field(default_factory=dict)
    seccomp: Mapping[str, Any] = field(default_factory=dict)
    rootfs_propagation: str = ""
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    mount_label: str = ""
    personality: Personality | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """All of a config.json that concerns Linux."""

    oci_version: str
    root: Root | None = None
    process: Process | None = None
    hostname: str = ""
    domainname: str = ""
    mounts: tuple[Mount, ...] = ()
    hooks: Hooks = field(default_factory=Hooks)
    annotations: Mapping[str, str] = field(default_factory=dict)
    linux: Linux = field(default_factory=Linux)

    def namespace(self, kind: str) -> Namespace | None:
        """The namespace of this kind that it has of its own or joins."""
        return next((namespace for namespace in self.linux.namespaces if namespace.type == kind), None)
