"""Our spec as a standard config.json."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from dockmagic.bundle import load
from dockmagic.bundle.check import check
from dockmagic.oci import defaults
from dockmagic.oci.bundle import document
from dockmagic.oci.convert import convert
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import READ_ONLY_TOP, Mount, Overlay, Rlimit, Root, User

OVERLAY = Root(overlay=Overlay(("/lower",)))


def config(options: RunOptions) -> dict[str, Any]:
    """The config.json of a container, as a reader of JSON has it, which must be right."""
    options = replace(options, network="container:other")
    spec = convert(ContainerConfig(), options, OVERLAY, {"/etc/hosts": "/run/hosts"}, "name")
    made = document(spec, User(5, 6, 0o022, (6, 7)), {"defaultAction": "SCMP_ACT_ALLOW"}, {"network": "/proc/9/ns/net"})
    text = json.dumps(made).encode()
    warnings: list[str] = []
    check(load.parse(text, "config.json", warnings.append))
    assert warnings == []
    found: dict[str, Any] = json.loads(text)
    return found


def test_what_the_specification_requires_is_always_there() -> None:
    found = config(RunOptions(command=("sh",)))
    assert next(iter(found)) == "ociVersion"
    assert found["root"] == {"path": "rootfs"}
    assert found["process"]["cwd"] == "/"
    assert found["process"]["user"] == {"uid": 5, "gid": 6, "umask": 0o022, "additionalGids": [6, 7]}
    assert {"type": "network", "path": "/proc/9/ns/net"} in found["linux"]["namespaces"]
    assert found["linux"]["seccomp"] == {"defaultAction": "SCMP_ACT_ALLOW"}
    assert "devices" not in found["linux"]
    assert found["linux"]["resources"]["devices"][0] == {"allow": False, "type": "a", "access": "rwm"}
    assert found["linux"]["maskedPaths"] == list(defaults.MASKED_PATHS)


def test_names_are_the_specifications() -> None:
    found = config(
        RunOptions(
            command=("sh",),
            memory_bytes=64 << 20,
            pids_limit=5,
            oom_kill_disable=True,
            ulimits=(Rlimit("RLIMIT_CORE", 0, -1),),
            init=True,
        )
    )
    resources = found["linux"]["resources"]
    assert resources["memory"] == {"limit": 64 << 20, "swap": 128 << 20, "disableOOMKiller": True}
    assert resources["pids"] == {"limit": 5}
    assert found["process"]["rlimits"] == [{"type": "RLIMIT_CORE", "soft": 0, "hard": (1 << 64) - 1}]
    assert found["annotations"] == {"dockmagic.init": "true"}


def test_binds_say_how_far_they_are_read_only() -> None:
    mounts = (
        Mount("/a", "bind", "/x", ("rbind", "rprivate", "ro")),
        Mount("/b", "bind", "/x", ("rbind", READ_ONLY_TOP)),
        Mount("/c", "bind", "/x", ("rprivate",), subpath="y"),
    )
    found = {mount["destination"]: mount for mount in config(RunOptions(command=("sh",), mounts=mounts))["mounts"]}
    assert found["/a"]["options"] == ["rbind", "rprivate", "rro"]
    assert found["/b"]["options"] == ["rbind", "ro"]
    assert found["/c"] == {"destination": "/c", "type": "bind", "source": "/x/y", "options": ["rbind", "rprivate"]}
    assert found["/etc/hosts"]["source"] == "/run/hosts"
