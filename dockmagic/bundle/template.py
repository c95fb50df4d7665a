"""What the command line tells of itself: a config to begin with, and what this runtime can do.

Source: runtime-spec config.md, features.md and features-linux.md.
"""

from __future__ import annotations

from typing import Any

from dockmagic.bundle import check, options
from dockmagic.oci import defaults
from dockmagic.oci.codec import encode
from dockmagic.oci.config import VERSION, WRITTEN
from dockmagic.oci.defaults import ALL_CAPABILITIES
from dockmagic.runtime.cgroup.hierarchy import detect

_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]


def config(args: tuple[str, ...] = ("sh",), *, terminal: bool = True) -> dict[str, Any]:
    """A config of a container with a root file system at `rootfs`, as `spec` writes it."""
    sets = dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES)
    return {
        "ociVersion": WRITTEN,
        "process": {
            "terminal": terminal,
            "user": {"uid": 0, "gid": 0},
            "args": list(args),
            "env": [f"PATH={defaults.PATH}", f"TERM={defaults.TERM}"],
            "cwd": "/",
            "capabilities": sets,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "dockmagic",
        "mounts": encode(defaults.mounts(64 << 20)),
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in defaults.NAMESPACES],
            "maskedPaths": list(defaults.MASKED_PATHS),
            "readonlyPaths": list(defaults.READONLY_PATHS),
        },
    }


def features() -> dict[str, Any]:
    """What can be asked of this runtime on this host."""
    hierarchies = detect()
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "mountOptions": options.names(),
        "linux": {
            "namespaces": sorted(check.KINDS),
            "capabilities": list(ALL_CAPABILITIES),
            "cgroup": {
                "v1": bool(hierarchies.v1), "v2": bool(hierarchies.v2), "systemd": False, "systemdUser": False,
                "rdma": False,
            },
            "seccomp": {"enabled": True, "archs": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"]},
            "apparmor": {"enabled": False},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
    }  # fmt: skip
