"""Our spec as a standard config.json, for a bundle whose root file system is at `rootfs`. Pure.

What only we have is written as others understand it: a user by numbers, a filter by its rules, and process 1 that only
reaps as an annotation. Source: runtime-spec config.md and config-linux.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from dockmagic.oci import config as c
from dockmagic.oci.codec import encode
from dockmagic.oci.spec import READ_ONLY_TOP, DeviceNumber, Mount, Namespace, Process, Resources, Spec, User

ROOTFS: Final = "rootfs"
INIT: Final = "dockmagic.init"
_BINDS: Final = ("bind", "rbind")


def document(spec: Spec, user: User, seccomp: Mapping[str, Any], joined: Mapping[str, str]) -> dict[str, Any]:
    """The config. `user` is whom the process runs as, by numbers; `joined` has paths of namespaces by kind."""
    linux = spec.linux
    found = c.Config(
        c.VERSION,
        c.Root(ROOTFS, spec.root.readonly),
        hostname=spec.hostname,
        domainname=spec.domainname,
        mounts=tuple(_mount(mount) for mount in spec.mounts if mount.overlay is None and mount.content is None),
        annotations={**spec.annotations, **({INIT: "true"} if spec.init else {})},
        linux=c.Linux(
            namespaces=(*linux.namespaces, *(Namespace(kind, path) for kind, path in joined.items())),
            devices=linux.devices,
            cgroups_path=linux.cgroups_path,
            resources=_resources(linux.resources),
            sysctl=linux.sysctl,
            seccomp=seccomp,
            masked_paths=linux.masked_paths,
            readonly_paths=linux.readonly_paths,
        ),
    )
    head: dict[str, Any] = encode(found)
    return {"ociVersion": head.pop("ociVersion"), "process": _process(spec.process, user), **head}


def _process(process: Process, user: User) -> dict[str, Any]:
    """The process, with what the specification requires even where it is as usual."""
    encoded: dict[str, Any] = encode(replace(process, user=User()))
    ids = {"uid": user.uid, "gid": user.gid, "umask": user.umask, "additionalGids": list(user.additional_gids)}
    return {**encoded, "user": ids, "cwd": process.cwd}


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
