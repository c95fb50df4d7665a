"""A container in the JSON shape of `docker container inspect`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dockmagic.errors import InvalidManifest
from dockmagic.oci.codec import decode
from dockmagic.oci.defaults import TERM
from dockmagic.oci.image_json import healthcheck_json
from dockmagic.oci.networks import DEFAULT
from dockmagic.oci.options import GpuRequest, RunOptions
from dockmagic.oci.ports import Published, binding_map, port_map
from dockmagic.oci.spec import DeviceRule, Spec
from dockmagic.runtime.container import Row
from dockmagic.runtime.health import Result
from dockmagic.runtime.inspect_mounts import binds, long_mounts, mount_points, tmpfs
from dockmagic.runtime.state import ContainerState, Status
from dockmagic.runtime.stdio import timestamp

NEVER = "0001-01-01T00:00:00Z"


def document(
    row: Row, state: ContainerState, directory: Path, networks: Mapping[str, Any], published: Sequence[Published]
) -> dict[str, Any]:
    """All that is known of the container, under Docker's names; `networks` tell of its addresses.

    `published` are its ports while it runs.
    """
    process = row.spec.process
    ports = port_map(row.options.expose, published) if state.running else {}
    return {
        "Id": row.id,
        "Created": timestamp(row.created_ns),
        "Path": process.args[0],
        "Args": list(process.args[1:]),
        "State": _state(state, directory),
        "Image": row.image_id,
        "ResolvConfPath": _source(row.spec, "/etc/resolv.conf"),
        "HostnamePath": _source(row.spec, "/etc/hostname"),
        "HostsPath": _source(row.spec, "/etc/hosts"),
        "LogPath": str(directory / "log.jsonl"),
        "Name": f"/{row.name}",
        "RestartCount": state.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "HostConfig": _host_config(row),
        "GraphDriver": _graph_driver(row.spec),
        "Mounts": mount_points(row.options, directory.parent.parent / "volumes"),
        "Config": _config(row),
        "NetworkSettings": {"Ports": ports, **networks},
    }


def _state(state: ContainerState, directory: Path) -> dict[str, Any]:
    health = {"Status": state.health, "FailingStreak": state.failing_streak, "Log": _health_log(directory)}
    return {
        "Status": state.status.value,
        "Running": state.running or state.status is Status.RESTARTING,
        "Paused": state.status is Status.PAUSED,
        "Restarting": state.status is Status.RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": False,
        "Pid": state.pid,
        "ExitCode": state.exit_status,
        "Error": state.error,
        "StartedAt": timestamp(state.started_ns) if state.started_ns else NEVER,
        "FinishedAt": timestamp(state.finished_ns) if state.finished_ns else NEVER,
        **({"Health": health} if state.health else {}),
    }


def _health_log(directory: Path) -> list[dict[str, Any]]:
    """The last results of the container's health check, oldest first; none where there are none."""
    try:
        results = [decode(Result, each) for each in json.loads((directory / "health.json").read_text())]
    except (OSError, ValueError, InvalidManifest):
        return []
    return [
        {
            "Start": timestamp(result.start_ns),
            "End": timestamp(result.end_ns),
            "ExitCode": result.exit_status,
            "Output": result.output,
        }
        for result in results
    ]


def _host_config(row: Row) -> dict[str, Any]:
    options, resources = row.options, row.spec.linux.resources
    return {
        "NetworkMode": "bridge" if options.network == DEFAULT else options.network,
        "AutoRemove": options.remove,
        "Init": options.init or None,
        "Annotations": dict(options.annotations) or None,
        "Privileged": options.privileged,
        "RestartPolicy": {"Name": options.restart.name, "MaximumRetryCount": options.restart.most_retries},
        "PortBindings": binding_map(options.publish),
        "PublishAllPorts": options.publish_all,
        "LogConfig": {"Type": options.log.driver, "Config": dict(options.log.given)},
        "CapAdd": list(options.cap_add) or None,
        "CapDrop": list(options.cap_drop) or None,
        "GroupAdd": list(options.group_add) or None,
        "ReadonlyRootfs": options.read_only,
        "ShmSize": options.shm_size_bytes,
        "Memory": resources.memory.limit or 0,
        "MemorySwap": resources.memory.swap or 0,
        "MemoryReservation": resources.memory.reservation or 0,
        "NanoCpus": round((options.cpus or 0) * 1e9),
        "CpuShares": resources.cpu.shares or 0,
        "CpuPeriod": options.cpu_period_us or 0,
        "CpuQuota": options.cpu_quota_us or 0,
        "CpusetCpus": resources.cpu.cpus,
        "CpusetMems": resources.cpu.mems,
        "PidsLimit": resources.pids_limit,
        "NetRate": options.net_rate_bits,
        "NetLatency": options.net_latency_us * 1000,
        "DeviceRequests": [_gpus(request) for request in options.gpus] or None,
        "Ulimits": [{"Name": u.type[7:].lower(), "Soft": u.soft, "Hard": u.hard} for u in options.ulimits] or None,
        "Binds": binds(options) or None,
        **({"Mounts": long} if (long := long_mounts(options)) else {}),
        **({"Tmpfs": tmpfs(options)} if options.tmpfs else {}),
        "VolumesFrom": [f"{v.container}{v.access and ':'}{v.access}" for v in options.volumes_from] or None,
        **_isolation(options),
        "MaskedPaths": list(row.spec.linux.masked_paths),
        "ReadonlyPaths": list(row.spec.linux.readonly_paths),
        **_names(row),
    }


def _names(row: Row) -> dict[str, Any]:
    """What it calls others, and whom it asks; containers that it has links to by their short IDs."""
    options = row.options
    return {
        "Dns": list(options.dns),
        "DnsOptions": list(options.dns_options),
        "DnsSearch": list(options.dns_search),
        "ExtraHosts": [f"{name}:{address}" for name, address in options.extra_hosts] or None,
        "Links": [f"/{linked[:12]}:/{row.name}/{alias}" for linked, alias in options.links] or None,
    }


def _isolation(options: RunOptions) -> dict[str, Any]:
    """Whose namespaces it is in, and what it may do."""
    devices = [
        {"PathOnHost": device.source, "PathInContainer": device.path, "CgroupPermissions": device.access}
        for device in options.devices
    ]
    return {
        "CgroupnsMode": options.cgroupns or "private",
        "IpcMode": options.ipc or "private",
        "PidMode": options.pid,
        "UTSMode": options.uts,
        "UsernsMode": "",
        "OomScoreAdj": options.oom_score_adj or 0,
        "OomKillDisable": options.oom_kill_disable,
        "MemorySwappiness": options.memory_swappiness,
        "Sysctls": dict(sorted(options.sysctls.items())) or None,
        "Devices": devices,
        "DeviceCgroupRules": list(map(_rule, options.device_rules)) or None,
        "SecurityOpt": _security(options) or None,
    }


def _rule(rule: DeviceRule) -> str:
    """A rule for devices as its flag has it."""
    numbers = ("*" if number is None else str(number) for number in (rule.major, rule.minor))
    return f"{rule.type} {':'.join(numbers)} {rule.access}"


def _security(options: RunOptions) -> list[str]:
    """What --security-opt gave, but for what the paths tell already; of a profile its text, as Docker has it."""
    filters = {"default": "", "profile": f"seccomp={options.seccomp_profile}"}
    return [
        *(["no-new-privileges"] if options.no_new_privileges else []),
        *filter(None, [filters.get(options.seccomp, f"seccomp={options.seccomp}")]),
    ]


def _gpus(request: GpuRequest) -> dict[str, Any]:
    return {
        "Driver": "",
        "Count": request.count,
        "DeviceIDs": list(request.devices) or None,
        "Capabilities": [["gpu", *request.capabilities]],
        "Options": {},
    }


def _config(row: Row) -> dict[str, Any]:
    process, check = row.spec.process, row.options.healthcheck
    return {
        "Hostname": row.spec.hostname,
        "Domainname": row.spec.domainname,
        "ExposedPorts": {name: {} for name in row.options.expose} or None,
        "User": process.user.username,
        "AttachStdin": row.options.interactive and not row.options.detach,
        "AttachStdout": not row.options.detach,
        "AttachStderr": not row.options.detach,
        "OpenStdin": row.options.interactive,
        "StdinOnce": row.options.interactive and not row.options.detach,
        "Tty": process.terminal,
        "Env": _environment(row),
        "Cmd": list(row.options.command) or None,
        "Image": row.image_reference,
        "WorkingDir": process.cwd,
        "Entrypoint": None if row.options.entrypoint is None else list(row.options.entrypoint),
        "Volumes": {v.destination: {} for v in row.options.volumes if v.implied} or None,
        "Labels": dict(sorted(row.labels.items())),
        **({} if check is None else {"Healthcheck": healthcheck_json(check)}),
        "StopSignal": row.options.stop_signal,
        "StopTimeout": row.options.stop_timeout_s,
    }


def _environment(row: Row) -> list[str]:
    """The variables, those of the user first, without those that the start adds."""
    process = row.spec.process
    added = {f"HOSTNAME={row.spec.hostname}", *([f"TERM={TERM}"] if process.terminal else [])}
    given = [entry for entry in row.options.env if entry in process.env]
    return [*given, *(entry for entry in process.env if entry not in added and entry not in given)]


def _graph_driver(spec: Spec) -> dict[str, Any]:
    overlay = spec.root.overlay
    if overlay is None:
        return {"Name": "directory", "Data": {"Path": spec.root.path}}
    data = {"LowerDir": ":".join(overlay.lower), "UpperDir": overlay.upper, "WorkDir": overlay.work}
    return {"Name": "overlay2", "Data": data}


def _source(spec: Spec, destination: str) -> str:
    return next((mount.source for mount in spec.mounts if mount.destination == destination), "")
