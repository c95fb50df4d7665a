"""Other programs that run `true` in a sandbox, as command lines on one and the same directory of files.

crun and runc get two bundles each: a lean one with namespaces and the usual mounts only, and a full one, which is the
very spec that dockmagic makes for the container, with Docker's rules as the filter. None of them mounts an overlay, as
dockmagic does for every container; podman does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from dockmagic.oci.codec import encode
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Overlay
from dockmagic.runtime.making import make_spec

PROGRAMS: Final = ("crun", "runc", "bwrap", "podman", "skopeo")
FILTER: Final = Path("/usr/share/containers/seccomp.json")
_LEAN_MOUNTS: Final = {"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"}
PODMAN: Final = ("--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none")
ULIMITS: Final = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:4096")  # ours may not be raised everywhere

Argv = list[str]
Json = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A competitor; `command` gives the command line of its next run."""

    name: str
    command: Callable[[], Argv]


def peers(rootfs: Path, directory: Path) -> list[Peer]:
    """All but podman; bundles and state are made below the directory."""
    found = [
        Peer("fork and exec on the host", lambda: ["/bin/true"]),
        Peer("bwrap --unshare-all", lambda: ["bwrap", "--unshare-all", *_bwrap_files(rootfs), "/bin/true"]),
    ]
    spec = full_spec(directory)
    for kind, config in (("lean", lean(spec)), ("full", spec)):
        bundle = directory / kind
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(on_directory(config, rootfs)))
        found += [Peer(f"{runtime} run, {kind}", _runtime(runtime, directory, bundle)) for runtime in ("crun", "runc")]
    return found


def podman(rootfs: Path, directory: Path) -> Peer:
    """Podman that runs `true`, with a store of its own below the directory."""
    run = [*podman_store(rootfs, directory), "run", "--rm", "--network", "none", *ULIMITS, "bench", "/bin/true"]
    return Peer("podman run --network none", lambda: run)


def podman_store(rootfs: Path, directory: Path) -> Argv:
    """The beginning of podman's command lines on a store below the directory, in which the files are image `bench`."""
    base = ["podman", "--root", f"{directory}/podman", "--runroot", f"{directory}/run", "--tmpdir", f"{directory}/tmp"]
    base += [*PODMAN, "--runtime", "crun"]
    archive = directory / "rootfs.tar"
    subprocess.run(["tar", "-C", rootfs, "-cf", archive, "."], check=True)
    subprocess.run([*base, "import", archive, "bench"], check=True, capture_output=True)
    return base


def full_spec(directory: Path) -> Json:
    """The spec that dockmagic makes for a container of busybox, as other runtimes read it."""
    overlay = Overlay(("/nowhere",), f"{directory}/upper", f"{directory}/work")
    spec = make_spec(ContainerConfig(), RunOptions(command=("/bin/true",)), overlay, "b")
    config: Json = encode(spec)
    config["ociVersion"] = "1.0.2"
    config["process"] = {"cwd": "/", "user": {"uid": 0, "gid": 0}, **config["process"]}
    config["mounts"] = [mount for mount in config["mounts"] if not mount.get("source", "").startswith(str(directory))]
    resources = config["linux"]["resources"]
    resources["devices"] = [{"type": "a", "access": "rwm", **rule} for rule in resources["devices"]]
    del config["linux"]["seccompFilter"]
    config["linux"]["seccomp"] = docker_filter(config["process"]["capabilities"]["bounding"])
    return config


def lean(spec: Json) -> Json:
    """The spec without what only Docker's defaults add: masks, limits, filter, device rules, and most mounts."""
    linux = {"namespaces": [entry for entry in spec["linux"]["namespaces"] if entry["type"] != "cgroup"]}
    mounts = [mount for mount in spec["mounts"] if mount["destination"] in _LEAN_MOUNTS]
    return {**spec, "linux": linux, "mounts": mounts}


def on_directory(spec: Json, rootfs: Path) -> Json:
    """The spec with a directory as its root."""
    return {**spec, "root": {"path": str(rootfs)}}


def docker_filter(capabilities: list[str]) -> Json:
    """Docker's system call rules for a process with these capabilities. Source: containers/common seccomp.json."""
    profile: Json = json.loads(FILTER.read_text())
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    rules = [rule for rule in profile["syscalls"] if _applies(rule, set(capabilities), machine)]
    kept = ("names", "action", "args", "errnoRet")
    main = next(entry for entry in profile["archMap"] if entry["architecture"].lower().endswith(os.uname().machine))
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile.get("defaultErrnoRet", 38),
        "architectures": [main["architecture"], *main["subArchitectures"]],
        "syscalls": [{key: rule[key] for key in kept if rule.get(key)} for rule in rules],
    }


def _applies(rule: Json, capabilities: set[str], machine: str) -> bool:
    """Whether a rule of the profile holds for these capabilities on this machine."""
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if set(excludes.get("caps", ())) & capabilities or machine in excludes.get("arches", ()):
        return False
    needed = set(includes.get("caps", ()))
    return (not needed or bool(needed & capabilities)) and machine in includes.get("arches", (machine,))


def _bwrap_files(rootfs: Path) -> Iterator[str]:
    yield from ("--bind", str(rootfs), "/", "--proc", "/proc", "--dev", "/dev")


def _runtime(name: str, directory: Path, bundle: Path) -> Callable[[], Argv]:
    """Command lines of crun or runc, which want a new container name each time."""
    numbers = count()
    return lambda: [
        *(name, "--root", f"{directory}/{name}", "run", "--bundle", str(bundle)),
        f"bench-{bundle.name}-{os.getpid()}-{next(numbers)}",
    ]


def missing(programs: Iterable[str] = PROGRAMS) -> list[str]:
    """Those of the peers' programs that aren't installed."""
    return [name for name in programs if shutil.which(name) is None]
