"""Bundles go from one tool to the other: dockmagic's own, umoci's, runc's and crun's, and podman's containers."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.image.store import Image
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Mount
from tests.benchmarks.private_view import no_new_cgroups
from tests.integration.oci_bundles import RUNTIME, Oci

pytestmark = [pytest.mark.root, pytest.mark.needs("busybox", "runc", "crun", "umoci", "skopeo", "podman", "conmon")]

# crun takes a host with cgroups of both versions for none of its own, so that it sees version 1 only
CRUN = (
    "unshare", "--mount", "--propagation", "private", "sh", "-ec",
    'umount -l /sys/fs/cgroup/unified 2>/dev/null || true; exec crun "$@"', "crun",
)  # fmt: skip
RUNTIMES = {"runc": ("runc",), "crun": CRUN, "dockmagic-oci": RUNTIME}
LOOK = """
id; hostname; pwd; umask; ulimit -n; env | grep -v ^_ | sort
grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp:)' /proc/self/status
awk '{print $5}' /proc/self/mountinfo | grep -v /sys/fs/cgroup/ | sort
awk '$5 ~ "^/(ro|out|fresh|proc|dev|sys)?$" {print $5, $6}' /proc/self/mountinfo | sort
ls -l /dev | grep -v -e kcore -e null | awk '{print $1, $3, $4, $5, $6, $NF}' | sort
cat /proc/sys/net/ipv4/ip_forward /proc/self/oom_score_adj
cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.shares
mkdir /made && echo made; touch /proc/sys/kernel/x /ro/x; unshare -m true; cat /etc/hosts
"""


def held(script: str) -> str:
    """A script that ends only when the file that is mounted for that says so."""
    return f"({script}) 2>/dev/null; echo done; until grep -q go /out/gate; do sleep 0.1; done"


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A directory with the file that holds a container."""
    directory = tmp_path / "out"
    directory.mkdir()
    directory.chmod(0o777)
    (directory / "gate").write_text("")
    return directory


def options(gate: Path) -> RunOptions:
    """A container with something of everything."""
    shared = (
        Mount("/out", "bind", str(gate), ("rbind", "rprivate")),
        Mount("/ro", "bind", str(gate), ("rbind", "rprivate", "ro")),
    )
    return RunOptions(
        command=("sh", "-c", held(LOOK)),
        env=("A=1",),
        hostname="of-the-bundle",
        network="none",
        mounts=shared,
        tmpfs=(Mount("/fresh", "tmpfs", "tmpfs", ("noexec", "nosuid", "nodev", "mode=1777")),),
        memory_bytes=64 << 20,
        pids_limit=50,
        cpu_shares=512,
        cap_add=("NET_ADMIN",),
        cap_drop=("MKNOD",),
        user="daemon:mail",
        no_new_privileges=True,
        oom_score_adj=100,
        sysctls={"net.ipv4.ip_forward": "1"},
    )


def test_what_inspect_shows_is_the_same_container_in_other_runtimes(
    engine: Engine, busybox: Image, gate: Path, tmp_path: Path
) -> None:
    container = engine.containers.create("busybox", options(gate))
    container.start()
    try:
        document = container_config(container)
        log = await_log(container)
        rootfs = tmp_path / "bundle" / "rootfs"
        rootfs.mkdir(parents=True)
        archive = tmp_path / "files.tar"
        with archive.open("wb") as out:
            container.export(out)
        subprocess.run(["tar", "-xpf", archive, "-C", rootfs, "--numeric-owner"], check=True)
        document["process"]["args"] = ["sh", "-c", f"({LOOK}) 2>/dev/null; echo done"]
        (rootfs.parent / "config.json").write_text(json.dumps(document))
        seen = {name: run_bundle(rootfs.parent, runtime) for name, runtime in RUNTIMES.items()}
    finally:
        (gate / "gate").write_text("go")
        container.wait()
    for name, text in seen.items():
        print("".join(difflib.unified_diff(log.splitlines(True), text.splitlines(True), "here", name)))
    assert set(seen.values()) == {log}


def container_config(container: Container) -> dict[str, Any]:
    """Its config.json as a reader of JSON has it."""
    document: dict[str, Any] = json.loads(json.dumps(container.oci_config()))
    return document


def await_log(container: Container) -> str:
    """What a held container has said, once it has said all."""
    text = ""
    for _ in range(200):
        text = b"".join(line.data for line in container.logs()).decode()
        if text.endswith("done\n"):
            return text
        time.sleep(0.05)
    raise AssertionError(text)


def run_bundle(bundle: Path, runtime: tuple[str, ...]) -> str:
    """What a container of the bundle prints under a runtime."""
    command = [*runtime, "--root", str(bundle / "state"), "run", "--bundle", str(bundle), f"dm-{os.getpid()}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("runtime", ["runc", "crun"])
def test_the_first_config_of_other_runtimes_runs(oci: Oci, runtime: str) -> None:
    """On the terminal that it asks for, which `script` gives it."""
    subprocess.run([runtime, "spec"], cwd=oci.bundle, check=True)
    oci.config = json.loads((oci.bundle / "config.json").read_text())
    oci.write("sh", "-c", "tty; hostname; touch /x; exit 7")
    command = " ".join([*oci.runtime, "run", "--bundle", str(oci.bundle), oci.id])
    words = ["script", "-qec", command, "/dev/null"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 7
    assert done.stdout.split()[:2] == ["/dev/pts/0", runtime]
    assert "Read-only file system" in done.stdout


def test_what_umoci_unpacks_runs(oci: Oci, busybox: Image, engine: Engine, tmp_path: Path) -> None:
    archive, layout, bundle = tmp_path / "image.tar", f"{tmp_path / 'layout'}:1", tmp_path / "unpacked"
    with archive.open("wb") as out:
        engine.images.save(["busybox"], out)
    subprocess.run(["skopeo", "copy", "-q", f"docker-archive:{archive}", f"oci:{layout}"], check=True)
    subprocess.run(["umoci", "unpack", "--image", layout, bundle], check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["sh", "-c", "hostname; pwd"]}
    del config["process"]["rlimits"]
    (bundle / "config.json").write_text(json.dumps(config))
    assert oci.do("run", "--bundle", bundle, oci.id).split() == ["umoci-default", "/"]


class Podman:
    """Podman on a store of its own, with our runtime."""

    limits = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:4096")

    def __init__(self, directory: Path, rootfs: Path) -> None:
        runtime = directory / "dockmagic-oci"
        words = f"{' '.join(RUNTIME)} --root {directory / 'oci'}"
        runtime.write_text(f'#!/bin/sh\nPYTHONPATH={Path.cwd()} exec {words} "$@"\n')
        runtime.chmod(0o755)
        self.base = [
            "podman", "--root", str(directory / "p"), "--runroot", str(directory / "r"),
            "--tmpdir", str(directory / "t"),
            "--storage-driver=overlay", "--cgroup-manager=cgroupfs", "--events-backend=file", "--runtime", str(runtime),
        ]  # fmt: skip
        archive = directory / "rootfs.tar"
        subprocess.run(["tar", "-C", rootfs, "-cf", archive, "."], check=True)
        self.do("import", str(archive), "bb")

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command."""
        command, nothing = [*self.base, *words], subprocess.DEVNULL
        return subprocess.run(command, check=False, capture_output=True, text=True, stdin=nothing, timeout=90)

    def do(self, *words: str) -> str:
        """What a command prints, which must succeed."""
        done = self.call(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a container without a network."""
        return self.call("run", *self.limits, "--network", "none", *words)


@pytest.fixture
def podman(oci_rootfs: Path) -> Iterator[Podman]:
    """Podman, whose paths have to be short; what it leaves is removed."""
    with tempfile.TemporaryDirectory(prefix="dm-oci-", dir="/var/tmp") as directory, no_new_cgroups():
        podman = Podman(Path(directory), oci_rootfs)
        yield podman
        podman.do("rm", "--all", "--force", "--time", "0")
        subprocess.run(["umount", f"{directory}/p/overlay"], check=False, capture_output=True)


def test_podman_runs_and_ends_containers(podman: Podman) -> None:
    done = podman.run("--rm", "-e", "A=b", "--user", "7:8", "bb", "sh", "-c", "echo $A; id -u; id -g; exit 3")
    assert (done.stdout.split(), done.returncode) == (["b", "7", "8"], 3)
    assert podman.run("--rm", "bb", "nonesuch").returncode == 127
    assert podman.run("--rm", "bb", "/etc/passwd").returncode == 126
    look = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes; grep CapEff /proc/self/status"
    script = f"{look}; touch /y || touch /x/y && echo ok"
    flags = ("--rm", "--memory", "64m", "--read-only", "--tmpfs", "/x", "--cap-drop", "all")
    limited = podman.run(*flags, "bb", "sh", "-c", script)
    assert limited.stdout.split() == [str(64 << 20), "CapEff:", "0" * 16, "ok"]


def test_podman_goes_through_a_containers_life(podman: Podman) -> None:
    script = "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done"
    assert podman.run("--detach", "--name", "c", "bb", "sh", "-c", script).returncode == 0
    assert podman.do("exec", "-e", "A=b", "c", "sh", "-c", "echo $A").strip() == "b"
    assert podman.call("exec", "c", "sh", "-c", "exit 4").returncode == 4
    assert podman.call("exec", "c", "nonesuch").returncode == 127
    podman.do("pause", "c")
    assert podman.do("ps", "--all", "--format", "{{.Status}}").strip() == "Paused"
    podman.do("unpause", "c")
    podman.do("stop", "--time", "20", "c")
    assert podman.do("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "c").split() == ["exited", "5"]
    assert podman.do("logs", "c") == "up\n"
    podman.do("start", "c")
    podman.do("kill", "c")
    assert podman.do("wait", "c").strip() == "137"
    podman.do("rm", "c")


def test_podman_gives_a_terminal(podman: Podman) -> None:
    words = [*podman.base, "run", *podman.limits, "--rm", "--network", "none", "-t", "bb", "sh", "-c", "'tty; exit 9'"]
    done = subprocess.run(
        ["script", "-qec", " ".join(words), "/dev/null"], check=False, capture_output=True, text=True, timeout=90
    )
    assert (done.stdout.strip(), done.returncode) == ("/dev/pts/0", 9)
