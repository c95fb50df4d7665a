"""Our spec as a standard config.json, for a bundle whose root file system is at `rootfs`. Pure.

What only we have is written as others understand it: a user by numbers, a filter by its rules, and process 1 that only
reaps as an annotation. Source: runtime-spec config.md and config-linux.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from dockmagic.oci import config as c
from dockmagic.oci import defaults
from dockmagic.oci.codec import encode
from dockmagic.oci.spec import (
    READ_ONLY_TOP,
    Device,
    DeviceNumber,
    DeviceRule,
    Mount,
    Namespace,
    Process,
    Resources,
    Spec,
    User,
)

ROOTFS: Final = "rootfs"
INIT: Final = "dockmagic.init"
_UNSIGNED: Final = 1 << 64  # a limit of -1 is the largest number
_BINDS: Final = ("bind", "rbind")


def document(spec: Spec, user: User, seccomp: Mapping[str, Any], joined: Mapping[str, str]) -> dict[str, Any]:
    """The config. `user` is whom the process runs as, by numbers; `joined` has paths of namespaces by kind."""
    linux = spec.linux
    more = tuple(device for device in linux.devices if device not in defaults.DEVICES)  # those every runtime supplies
    found = c.Config(
        c.WRITTEN,
        c.Root(ROOTFS, spec.root.readonly),
        hostname=spec.hostname,
        domainname=spec.domainname,
        mounts=tuple(_mount(mount) for mount in spec.mounts if mount.overlay is None and mount.content is None),
        annotations={**spec.annotations, **({INIT: "true"} if spec.init else {})},
        linux=c.Linux(
            namespaces=(*linux.namespaces, *(Namespace(kind, path) for kind, path in joined.items())),
            devices=more,
            cgroups_path=linux.cgroups_path,
            resources=_resources(linux.resources),
            sysctl=linux.sysctl,
            seccomp=seccomp,
            masked_paths=linux.masked_paths,
            readonly_paths=linux.readonly_paths,
        ),
    )
    head: dict[str, Any] = encode(found)
    if more:
        head["linux"]["devices"] = [_device(device) for device in more]
    if linux.resources.devices:
        head["linux"]["resources"]["devices"] = [_rule(rule) for rule in linux.resources.devices]
    return {"ociVersion": head.pop("ociVersion"), "process": _process(spec.process, user), **head}


def _process(process: Process, user: User) -> dict[str, Any]:
    """The process, with what the specification requires even where it is as usual."""
    encoded: dict[str, Any] = encode(replace(process, user=User()))
    ids = {"uid": user.uid, "gid": user.gid, "umask": user.umask, "additionalGids": list(user.additional_gids)}
    limits = [{"type": r.type, "soft": r.soft % _UNSIGNED, "hard": r.hard % _UNSIGNED} for r in process.rlimits]
    return {**encoded, "user": ids, "cwd": process.cwd, **({"rlimits": limits} if limits else {})}


def _device(device: Device) -> dict[str, Any]:
    """A device with all that another runtime might take otherwise."""
    numbers = {"major": device.major, "minor": device.minor}
    owner = {"fileMode": device.file_mode, "uid": device.uid, "gid": device.gid}
    return {"path": device.path, "type": device.type, **numbers, **owner}


def _rule(rule: DeviceRule) -> dict[str, Any]:
    encoded: dict[str, Any] = encode(rule)
    return {**encoded, "allow": rule.allow, "type": rule.type, "access": rule.access}


def _mount(mount: Mount) -> c.Mount:
    """A mount; a bind is read-only with all below it unless only its top is meant to be."""
    if not set(_BINDS).intersection(mount.options) and mount.type != "bind":
        return c.Mount(mount.destination, mount.type, mount.source, mount.options)
    words = {"ro": "rro", READ_ONLY_TOP: "ro"}
    options = tuple(words.get(option, option) for option in mount.options)
    if not set(_BINDS).intersection(options):
        options = ("rbind", *options)
    source = f"{mount.source}/{mount.subpath}" if mount.subpath else mount.source
    return c.Mount(mount.destination, "bind", source, options)


def _resources(limits: Resources) -> c.Resources:
    memory, cpu, block_io = limits.memory, limits.cpu, limits.block_io

    def rates(devices: tuple[DeviceNumber, ...]) -> tuple[c.ThrottleDevice, ...]:
        return tuple(c.ThrottleDevice(device.major, device.minor, device.number) for device in devices)

    return c.Resources(
        devices=limits.devices,
        memory=c.Memory(
            limit=memory.limit,
            reservation=memory.reservation,
            swap=memory.swap,
            swappiness=memory.swappiness,
            disable_oom_killer=memory.disable_oom_killer,
        ),
        cpu=c.CPU(cpu.shares, cpu.quota, None, cpu.period, None, None, cpu.cpus, cpu.mems),
        pids=c.Pids(limits.pids_limit),
        block_io=c.BlockIO(
            block_io.weight,
            None,
            tuple(c.WeightDevice(d.major, d.minor, d.number) for d in block_io.weight_device),
            rates(block_io.throttle_read_bps_device),
            rates(block_io.throttle_write_bps_device),
            rates(block_io.throttle_read_iops_device),
            rates(block_io.throttle_write_iops_device),
        ),
    )
