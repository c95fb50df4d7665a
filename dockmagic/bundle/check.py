"""What must hold of a config before anything is touched, as small named checks. Source: runtime-spec config.md.

A property that can't be applied is an Unsupported that names it, a value that breaks the specification an
InvalidBundle. What the specification wants ignored, with a warning, is told by `warnings`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from dockmagic.bundle import options
from dockmagic.errors import InvalidBundle, Unsupported
from dockmagic.oci.config import Config, IDMapping
from dockmagic.oci.spec import Capabilities, Process
from dockmagic.runtime.privileges import bounding_set

KINDS: Final = ("mount", "uts", "ipc", "pid", "network", "cgroup", "user", "time")
_VERSION: Final = re.compile(r"1\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$")
_DOMAINS: Final = ("LINUX", "LINUX32")
_IPC_SYSCTL: Final = ("kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.")
_UTS_SYSCTL: Final = ("kernel.hostname", "kernel.domainname")
_TIMED: Final = ("prestart", "create_runtime", "create_container", "start_container", "poststart", "poststop")


def check(config: Config) -> None:
    """Raise InvalidBundle or Unsupported unless a container can be made of it."""
    for holds in _CHECKS:
        holds(config)


def _version(config: Config) -> None:
    if not _VERSION.match(config.oci_version):
        raise InvalidBundle(f"ociVersion: {config.oci_version!r} is no version of the specification 1.x")


def _root(config: Config) -> None:
    if config.root is None or not config.root.path:
        raise InvalidBundle("root.path: it is missing; name the directory of the root file system")


def process(config: Config) -> None:
    """Raise where the process to start isn't as it must be; there may be none until the start."""
    if config.process is not None:
        check_process(config.process)


def check_process(process: Process, where: str = "process") -> None:
    """Raise InvalidBundle or Unsupported for a process that can't be started."""
    if not process.args:
        raise InvalidBundle(f"{where}.args: there must be at least one")
    if not process.cwd.startswith("/"):
        raise InvalidBundle(f"{where}.cwd: {process.cwd!r} is not an absolute path")
    for entry in process.env:
        if "=" not in entry or "\0" in entry:
            raise InvalidBundle(f"{where}.env: {entry!r} is not NAME=value")
    for name, value in (("apparmorProfile", process.apparmor_profile), ("selinuxLabel", process.selinux_label)):
        if value:
            raise Unsupported(f"{where}.{name}", "security modules aren't supported; leave it out")
    kinds = [limit.type for limit in process.rlimits]
    if len(set(kinds)) != len(kinds):
        raise InvalidBundle(f"{where}.rlimits: a type is there twice")
    if process.oom_score_adj is not None and not -1000 <= process.oom_score_adj <= 1000:
        raise InvalidBundle(f"{where}.oomScoreAdj: {process.oom_score_adj} is not in -1000 to 1000")


def _names(config: Config) -> None:
    for name in ("hostname", "domainname"):
        if getattr(config, name) and config.namespace("uts") is None:
            raise InvalidBundle(f"{name}: it would be the host's; add a uts namespace")


def _namespaces(config: Config) -> None:
    kinds = [namespace.type for namespace in config.linux.namespaces]
    for kind in kinds:
        if kind not in KINDS:
            raise Unsupported(f"linux.namespaces: {kind}", f"there are {', '.join(KINDS)}")
        if kinds.count(kind) > 1:
            raise InvalidBundle(f"linux.namespaces: {kind} is there twice")
    for namespace in config.linux.namespaces:
        if namespace.path and not namespace.path.startswith("/"):
            raise InvalidBundle(f"linux.namespaces: {namespace.path!r} is not an absolute path")
    if "mount" not in kinds:
        raise Unsupported("linux.namespaces: no mount namespace", "the host's would be changed; add one")


def _mappings(config: Config) -> None:
    linux, user = config.linux, config.namespace("user")
    if (linux.uid_mappings or linux.gid_mappings) and user is None:
        raise InvalidBundle("linux.uidMappings: ids can be mapped in a user namespace only; add one")
    if user is not None and not user.path and not (linux.uid_mappings and linux.gid_mappings):
        raise InvalidBundle("linux.uidMappings, linux.gidMappings: a new user namespace needs both")
    for mapping in (*linux.uid_mappings, *linux.gid_mappings):
        check_mapping(mapping)


def check_mapping(mapping: IDMapping) -> None:
    """Raise InvalidBundle for numbers that no ids can be."""
    if mapping.size <= 0 or mapping.container_id < 0 or mapping.host_id < 0:
        raise InvalidBundle(f"linux.uidMappings, linux.gidMappings: {mapping} is no range of ids")


def _times(config: Config) -> None:
    if config.linux.time_offsets and config.namespace("time") is None:
        raise InvalidBundle("linux.timeOffsets: clocks have an offset in a time namespace only; add one")
    for clock in config.linux.time_offsets:
        if clock not in ("monotonic", "boottime"):
            raise InvalidBundle(f"linux.timeOffsets: {clock!r} is no clock; there are monotonic and boottime")


def _mounts(config: Config) -> None:
    for mount in config.mounts:
        if not mount.destination.startswith("/"):
            raise InvalidBundle(f"mounts: the destination {mount.destination!r} is not an absolute path")
        mapped = options.parse(mount.options).words & {"idmap", "ridmap"}
        if bool(mount.uid_mappings) != bool(mount.gid_mappings):
            raise InvalidBundle(f"mounts: {mount.destination} needs both uidMappings and gidMappings")
        if mapped and not mount.uid_mappings:
            raise Unsupported(f"mounts: {mount.destination}: idmap", "give uidMappings and gidMappings with it")


def _not_applied(config: Config) -> None:
    """Properties that nothing here can apply."""
    linux = config.linux
    for name, value, hint in (
        ("linux.intelRdt", linux.intel_rdt, "resource director groups aren't supported"),
        ("linux.memoryPolicy", linux.memory_policy, "NUMA policies aren't supported; use resources.cpu.mems"),
        ("linux.netDevices", linux.net_devices, "interfaces aren't moved; join a network namespace that has them"),
        ("linux.mountLabel", linux.mount_label, "security modules aren't supported"),
    ):
        if value:
            raise Unsupported(name, f"{hint}; leave it out")


def _personality(config: Config) -> None:
    personality = config.linux.personality
    if personality is None:
        return
    if personality.domain not in _DOMAINS:
        raise InvalidBundle(f"linux.personality.domain: {personality.domain!r} is none; there are LINUX and LINUX32")
    if personality.flags:
        raise Unsupported("linux.personality.flags", "there are none that can be set; leave them out")


def _propagation(config: Config) -> None:
    name = config.linux.rootfs_propagation
    if name and name not in options.PROPAGATION:
        raise InvalidBundle(f"linux.rootfsPropagation: {name!r} is none; there are {', '.join(options.PROPAGATION)}")


def _paths(config: Config) -> None:
    for path in (*config.linux.masked_paths, *config.linux.readonly_paths):
        if not path.startswith("/"):
            raise InvalidBundle(f"linux.maskedPaths, linux.readonlyPaths: {path!r} is not an absolute path")


def _sysctl(config: Config) -> None:
    """Only parameters of a namespace that isn't the host's may be set."""
    for name in config.linux.sysctl:
        kind = _namespace_of(name.replace("/", "."))
        if not kind:
            raise InvalidBundle(f"linux.sysctl: {name} isn't in any namespace; it would be the host's")
        if not _own(config, kind):
            raise InvalidBundle(f"linux.sysctl: {name} would be the host's; add a {kind} namespace")


def _namespace_of(name: str) -> str:
    """Kind of namespace that a kernel parameter belongs to, "" for none."""
    if name.startswith("net."):
        return "network"
    if name.startswith(_IPC_SYSCTL):
        return "ipc"
    if name in _UTS_SYSCTL:
        return "uts"
    return "user" if name.startswith("user.") else ""


def _own(config: Config, kind: str) -> bool:
    """Whether the container's namespace of this kind is another than ours."""
    namespace = config.namespace(kind)
    if namespace is None or not namespace.path:
        return namespace is not None
    try:
        ours = os.stat(f"/proc/self/ns/{ {'network': 'net'}.get(kind, kind) }")
        return not os.path.samestat(os.stat(namespace.path), ours)
    except OSError as error:
        raise InvalidBundle(f"linux.namespaces: {namespace.path}: {error.strerror}") from error


def _devices(config: Config) -> None:
    for device in config.linux.devices:
        if device.type not in ("c", "b", "u", "p"):
            raise InvalidBundle(f"linux.devices: {device.path} has the type {device.type!r}; there are c, b, u and p")
        if not device.path.startswith("/"):
            raise InvalidBundle(f"linux.devices: {device.path!r} is not an absolute path")


def _hooks(config: Config) -> None:
    for kind in _TIMED:
        for hook in getattr(config.hooks, kind):
            if not hook.path.startswith("/"):
                raise InvalidBundle(f"hooks.{kind}: {hook.path!r} is not an absolute path")
            if hook.timeout is not None and hook.timeout <= 0:
                raise InvalidBundle(f"hooks.{kind}: the timeout of {hook.path} must be above 0")


_CHECKS: Final[tuple[Callable[[Config], None], ...]] = (
    _version, _root, process, _names, _namespaces, _mappings, _times, _mounts, _not_applied, _personality,
    _propagation, _paths, _sysctl, _devices, _hooks,
)  # fmt: skip


def grantable(process: Process) -> tuple[Process, list[str]]:
    """The process with the capabilities that can be granted, and a warning for each that can't be."""
    have = frozenset(bounding_set())
    sets, missing = process.capabilities, set[str]()

    def kept(names: tuple[str, ...]) -> tuple[str, ...]:
        missing.update(name for name in names if name not in have)
        return tuple(name for name in names if name in have)

    granted = Capabilities(
        kept(sets.bounding), kept(sets.effective), kept(sets.inheritable), kept(sets.permitted), kept(sets.ambient)
    )
    possible = frozenset(granted.inheritable).intersection(granted.permitted)
    told = [f"process.capabilities: {name} can't be granted" for name in sorted(missing)]
    told += [
        f"process.capabilities.ambient: {name} can't be granted without being inheritable and permitted"
        for name in granted.ambient
        if name not in possible
    ]
    ambient = tuple(name for name in granted.ambient if name in possible)
    return replace(process, capabilities=replace(granted, ambient=ambient)), told


def warnings(unknown: list[str]) -> Iterator[str]:
    """What is said of properties that nobody knows."""
    return (f"config.json: {place} isn't known and has no effect" for place in unknown)
