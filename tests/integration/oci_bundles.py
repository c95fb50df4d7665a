"""Bundles for tests of OCI runtimes, and a runtime's command line to run them with."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dockmagic.bundle import template

Document = dict[str, Any]
PROGRAMS = (
    "cat echo env grep head hostname id kill ls mkdir mount ps pwd readlink rm sh sleep stat stty test touch true tty"
)
RUNTIME = (sys.executable, "-m", "dockmagic.bundle.cli")
EVERY_CAPABILITY = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SETUID")


def make_rootfs(directory: Path) -> Path:
    """A root file system of busybox."""
    programs = directory / "bin"
    programs.mkdir(parents=True)
    shutil.copy("/bin/busybox", programs / "busybox")
    for name in PROGRAMS.split():
        (programs / name).symlink_to("busybox")
    (directory / "etc").mkdir()
    (directory / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nother:x:7:8::/home/other:/bin/sh\n")
    return directory


class Oci:
    """A runtime with a state root of its own, and a bundle whose config is changed for each container."""

    def __init__(self, directory: Path, runtime: tuple[str, ...] = RUNTIME) -> None:
        self.root = directory / "root"
        self.bundle = directory / "bundle"
        self.rootfs = self.bundle / "rootfs"
        self.runtime = (*runtime, "--root", str(self.root))
        self.config: Document = template.config(terminal=False)
        self.config["root"]["readonly"] = False
        del self.config["process"]["rlimits"]
        self.id = f"t-{uuid.uuid4().hex[:12]}"

    def call(self, *words: str | Path, **settings: Any) -> subprocess.CompletedProcess[str]:
        """One command; what it prints may be read from files, since a container keeps pipes open."""
        command = [*self.runtime, *map(str, words)]
        given = {"stdin": subprocess.DEVNULL, **settings}
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, **given)

    def do(self, *words: str | Path, **settings: Any) -> str:
        """What a command prints, which must succeed."""
        done = self.call(*words, **settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *words: str | Path) -> str:
        """What a command complains of, which must fail."""
        done = self.call(*words)
        assert done.returncode != 0
        return done.stderr

    def write(self, *args: str) -> None:
        """Write the config down, with these arguments of the process if any are given."""
        if args:
            self.config["process"]["args"] = list(args)
        (self.bundle / "config.json").write_text(json.dumps(self.config))

    def run(self, script: str) -> str:
        """What a shell script in a container of the bundle prints; it must succeed."""
        self.write("sh", "-ec", script)
        return self.do("run", "--bundle", self.bundle, self.id)

    def fails(self, script: str = "true") -> str:
        """What the runtime says of a container that it can't make or start."""
        self.write("sh", "-c", script)
        return self.refused("run", "--bundle", self.bundle, self.id)

    def create(self, *args: str) -> None:
        """Create a container; its output goes nowhere."""
        self.write(*args)
        command = [*self.runtime, "create", "--bundle", str(self.bundle), self.id]
        errors = self.bundle / "errors"
        with errors.open("wb") as said:
            done = subprocess.run(
                command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, timeout=60
            )
        assert done.returncode == 0, errors.read_text()

    def state(self) -> Document:
        """The state of the container."""
        found: Document = json.loads(self.do("state", self.id))
        return found

    def await_status(self, status: str) -> Document:
        """The state, once the container has this status."""
        for _ in range(100):
            state = self.state()
            if state["status"] == status:
                return state
            time.sleep(0.05)
        raise AssertionError(f"the container is {state['status']}, and not {status}")

    def set(self, path: str, value: Any) -> None:
        """Set a property of the config, such as "linux.resources"."""
        *above, last = path.split(".")
        place = self.config
        for name in above:
            place = place.setdefault(name, {})
        place[last] = copy.deepcopy(value)

    def allow(self, *capabilities: str) -> None:
        """Let the process have these capabilities."""
        names = list(capabilities)
        sets = ("bounding", "effective", "permitted", "inheritable")
        self.set("process.capabilities", dict.fromkeys(sets, names))


def namespaces(*left_out: str, **paths: str) -> list[Mapping[str, str]]:
    """The namespaces of a container: new ones but for those that are left out, and those of paths."""
    kinds = [kind for kind in ("mount", "uts", "ipc", "pid", "network", "cgroup") if kind not in left_out]
    return [{"type": kind, **({"path": paths[kind]} if kind in paths else {})} for kind in kinds]
