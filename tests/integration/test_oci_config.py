"""Each property of a config.json, as it is seen inside the container. Source: runtime-spec config.md, config-linux.md.

The cases are those of runtime-tools' validation suite, and some of runc's and crun's.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.oci_bundles import EVERY_CAPABILITY, Oci, namespaces

pytestmark = [pytest.mark.root, pytest.mark.needs("busybox")]
KINDS = {"mount": "mnt", "uts": "uts", "ipc": "ipc", "pid": "pid", "network": "net", "cgroup": "cgroup"}
MAPPED = [{"containerID": 0, "hostID": 1000, "size": 2000}]


def status(text: str) -> dict[str, str]:
    """The lines of /proc/self/status by name."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def test_the_process_is_as_it_is_described(oci: Oci) -> None:
    oci.allow("CAP_CHOWN", "CAP_KILL")
    oci.set("process.capabilities.ambient", ["CAP_KILL"])
    oci.config["process"] |= {
        "cwd": "/made/for/it",
        "env": ["PATH=/bin", "A=1=2", "EMPTY="],
        "user": {"uid": 7, "gid": 9, "umask": 0o027, "additionalGids": [11, 12]},
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 18446744073709551615},
        ],
        "oomScoreAdj": 300,
        "noNewPrivileges": True,
    }
    script = "pwd; env; echo; cat /proc/self/oom_score_adj; grep -E 'Max (open|core)' /proc/self/limits; umask"
    first, _, second = oci.run(f"{script}; cat /proc/self/status").partition("\n\n")
    working, *variables = first.splitlines()
    assert working == "/made/for/it"
    assert {"A=1=2", "EMPTY=", "HOME=/home/other"} <= set(variables)
    seen = status(second)
    assert second.startswith("300\n")
    assert second.split("\n")[1].split()[-3:] == ["0", "unlimited", "bytes"]
    assert second.split("\n")[2].split()[-3:] == ["55", "66", "files"]
    assert (seen["Uid"].split()[0], seen["Gid"].split()[0], seen["Groups"], seen["Umask"]) == (
        "7",
        "9",
        "11 12",
        "0027",
    )
    assert seen["NoNewPrivs"] == "1"
    assert int(seen["CapBnd"], 16) == int(seen["CapInh"], 16) == 1 << 0 | 1 << 5
    assert int(seen["CapAmb"], 16) == int(seen["CapEff"], 16) == 1 << 5  # a user's execve keeps the ambient ones


def test_scheduling_and_priorities(oci: Oci) -> None:
    oci.config["process"] |= {
        "scheduler": {"policy": "SCHED_BATCH", "nice": 7},
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6},
    }
    fields = oci.run("cat /proc/self/stat").rpartition(")")[2].split()
    assert (fields[16], fields[38]) == ("7", "3")
    oci.set("process.scheduler.policy", "SCHED_NONE")
    assert "process.scheduler" in oci.fails()


def test_names_annotations_and_unknown_properties(oci: Oci) -> None:
    oci.config |= {"hostname": "some-host", "domainname": "some.domain", "unknown": 1, "annotations": {"org.x": ""}}
    assert oci.run("hostname; cat /proc/sys/kernel/domainname").split() == ["some-host", "some.domain"]


def test_new_namespaces_and_those_of_the_host(oci: Oci) -> None:
    script = "for kind in $(ls /proc/self/ns); do echo $kind $(readlink /proc/self/ns/$kind); done"
    oci.set("linux.namespaces", namespaces())
    own = dict(line.split() for line in oci.run(script).splitlines())
    ours = {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in KINDS.values()}
    assert {kind for kind in ours if own[kind] == ours[kind]} == set()
    oci.set("linux.namespaces", namespaces("uts", "ipc", "network", "cgroup"))
    del oci.config["hostname"]
    shared = dict(line.split() for line in oci.run(script).splitlines())
    assert {kind for kind in ours if shared[kind] == ours[kind]} == {"uts", "ipc", "net", "cgroup"}


@contextmanager
def apart(*flags: str) -> Iterator[int]:
    """A process in new namespaces of its own."""
    child = subprocess.Popen(["unshare", *flags, "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    try:
        yield child.pid
    finally:
        child.kill()
        child.communicate()


def test_namespaces_are_joined_by_path(oci: Oci) -> None:
    with apart("--net", "--uts", "--ipc") as pid:
        paths = {kind: f"/proc/{pid}/ns/{KINDS[kind]}" for kind in ("network", "uts", "ipc")}
        oci.set("linux.namespaces", namespaces(**paths))
        script = "; ".join(f"readlink /proc/self/ns/{KINDS[kind]}" for kind in paths)
        assert oci.run(script).split() == [str(Path(path).readlink()) for path in paths.values()]
        oci.set("linux.namespaces", namespaces(network=paths["uts"]))
        assert "is no namespace of type network" in oci.fails()


def test_ids_are_mapped_in_a_user_namespace(oci: Oci) -> None:
    for path in (oci.rootfs, *oci.rootfs.rglob("*")):
        os.chown(path, 1000, 1000, follow_symlinks=False)
    for path in (oci.bundle, *oci.bundle.parents[:3]):
        path.chmod(0o755)
    oci.set("linux.namespaces", [*namespaces(), {"type": "user"}])
    assert "needs both" in oci.fails()
    oci.config["linux"] |= {"uidMappings": MAPPED, "gidMappings": MAPPED}
    script = "id -u; cat /proc/self/uid_map; touch /made; mount; echo x > /dev/null; stat -c %u:%t:%T /dev/null"
    lines = oci.run(script).splitlines()
    assert (lines[0], lines[1].split()) == ("0", ["0", "1000", "2000"])
    assert lines[-1].endswith(":1:3")
    assert (oci.rootfs / "made").stat().st_uid == 1000


def test_clocks_are_shifted_in_a_time_namespace(oci: Oci) -> None:
    oci.set("linux.namespaces", [*namespaces(), {"type": "time"}])
    oci.set("linux.timeOffsets", {"boottime": {"secs": 1_000_000_000}})
    assert float(oci.run("cat /proc/uptime").split()[0]) > 1_000_000_000


def test_mounts_of_every_kind(oci: Oci, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    (shown / "below").mkdir(parents=True)
    (shown / "file").write_text("content")
    (oci.rootfs / "kept" / "inner").mkdir(parents=True)
    (oci.rootfs / "kept" / "file").write_text("copied up")
    (oci.rootfs / "away").symlink_to("/inside")
    oci.config["mounts"] += [
        {"destination": "/bound", "type": "bind", "source": str(shown), "options": ["rbind", "rro", "nosuid"]},
        {"destination": "/one", "type": "none", "source": str(shown / "file"), "options": ["bind", "ro"]},
        {"destination": "/kept", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "size=1m", "noexec"]},
        {"destination": "/away/deep", "type": "tmpfs", "source": "tmpfs", "options": ["mode=711"]},
        {"destination": "/private", "type": "bind", "source": "rootfs/etc", "options": ["bind", "private"]},
    ]
    subprocess.run(["mount", "-t", "tmpfs", "below", shown / "below"], check=True)
    try:
        script = (
            "cat /one /kept/file; echo; stat -c %a /inside/deep; test -d /kept/inner; cat /private/passwd; "
            "touch /bound/x || echo ro; touch /bound/below/x || echo ro; cat /proc/self/mountinfo"
        )
        text = oci.run(f"({script}) 2>/dev/null")
    finally:
        subprocess.run(["umount", shown / "below"], check=True)
    lines = text.splitlines()
    assert lines[0:2] == ["contentcopied up", "711"]
    assert lines.count("ro") == 2
    mounted = {line.split()[4]: line.split() for line in lines if " - " in line}
    assert {"ro", "nosuid"} <= set(mounted["/bound"][5].split(","))
    assert "ro" in mounted["/bound/below"][5].split(",")
    assert "noexec" in mounted["/kept"][5].split(",")
    for kind in ("/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys/fs/cgroup"):
        assert kind in mounted
    assert not any(
        word.startswith(("shared", "master")) for word in mounted["/private"][6 : mounted["/private"].index("-")]
    )


def test_owners_of_a_mount_are_mapped(oci: Oci, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    shown.mkdir()
    mapping = [{"containerID": 0, "hostID": 5000, "size": 10}]
    mount = {"destination": "/bound", "type": "bind", "source": str(shown), "options": ["bind", "idmap"]}
    oci.config["mounts"].append({**mount, "uidMappings": mapping, "gidMappings": mapping})
    assert oci.run("stat -c %u:%g /bound").strip() == "5000:5000"


@pytest.mark.parametrize(
    ("name", "shown"), [("private", ""), ("shared", "shared"), ("unbindable", "unbindable"), ("slave", "")]
)
def test_the_roots_propagation(oci: Oci, name: str, shown: str) -> None:
    oci.set("linux.rootfsPropagation", name)
    fields = oci.run("grep ' / / ' /proc/self/mountinfo || grep ' / ' /proc/self/mountinfo").splitlines()[0].split()
    optional = " ".join(fields[6 : fields.index("-")])
    assert optional.startswith(shown)
    assert shown or not optional.startswith(("shared", "unbindable"))


def test_a_link_leads_no_mount_out_of_the_root_or_into_proc(oci: Oci) -> None:
    outside = Path("/var/nowhere-on-the-host")
    (oci.rootfs / "out").symlink_to(outside)
    (oci.rootfs / "trap").symlink_to("/proc/self")
    oci.config["mounts"].append({"destination": "/out/x", "type": "tmpfs", "source": "tmpfs"})
    oci.run("true")
    assert not outside.exists()
    assert (oci.rootfs / "var" / outside.name / "x").is_dir()
    oci.config["mounts"][-1] = {
        "destination": "/trap/attr",
        "type": "bind",
        "source": "rootfs/etc",
        "options": ["bind"],
    }
    assert "leads into /proc" in oci.fails()


def test_devices_and_their_rules(oci: Oci) -> None:
    oci.allow(*EVERY_CAPABILITY)
    devices = [
        {"path": "/dev/mine", "type": "c", "major": 1, "minor": 7, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"path": "/dev/block", "type": "b", "major": 7, "minor": 99},
        {"path": "/dev/sub/pipe", "type": "p", "fileMode": 0o600},
    ]
    oci.set("linux.devices", devices)
    names = "null zero full random urandom tty mine block sub/pipe"
    script = f"for n in {names}; do stat -c '%n %F %t:%T %a %u:%g' /dev/$n; done; readlink /dev/fd /dev/ptmx || true"
    lines = oci.run(
        script + "; readlink /dev/fd; readlink /dev/ptmx; head -c 1 /dev/urandom >/dev/null; cat /dev/block || echo no"
    )
    assert "/dev/null character special file 1:3 666 0:0" in lines
    assert "/dev/mine character special file 1:7 640 3:4" in lines
    assert "/dev/block block special file 7:63" in lines
    assert "/dev/sub/pipe fifo 0:0 600" in lines
    assert "/proc/self/fd" in lines
    assert "pts/ptmx" in lines
    assert lines.endswith("no\n")
    (oci.rootfs / "there").write_text("")
    oci.set("linux.devices", [{"path": "/there", "type": "c", "major": 1, "minor": 3}])
    assert "something else is there" in oci.fails()


def test_masked_and_read_only_paths_and_root(oci: Oci) -> None:
    for name in ("secret/inner", "fixed/inner"):
        (oci.rootfs / name).mkdir(parents=True)
    (oci.rootfs / "hidden").write_text("x")
    oci.set("linux.maskedPaths", ["/secret", "/hidden", "/nonesuch"])
    oci.set("linux.readonlyPaths", ["/fixed", "/bin", "/nonesuch"])
    script = "(ls /secret; cat /hidden; touch /fixed/x || echo ro; touch /bin/x || echo ro; touch /y && echo rw) 2>&1"
    assert [word for word in oci.run(script).split() if word in ("ro", "rw", "x", "inner")] == ["ro", "ro", "rw"]
    oci.set("root.readonly", True)
    assert "Read-only" in oci.run("touch /y 2>&1 || true")


def test_parameters_of_the_kernel_in_own_namespaces_only(oci: Oci) -> None:
    oci.set("linux.sysctl", {"net.ipv4.ip_forward": "1", "kernel.shmmax": "123456789"})
    assert oci.run("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax").split() == ["1", "123456789"]
    oci.set("linux.sysctl", {"vm.swappiness": "1"})
    assert "linux.sysctl: vm.swappiness" in oci.fails()
    oci.set("linux.sysctl", {"net.ipv4.ip_forward": "1"})
    oci.set("linux.namespaces", namespaces("network"))
    assert "add a network namespace" in oci.fails()


def test_system_calls_are_filtered(oci: Oci) -> None:
    oci.set(
        "linux.seccomp",
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "syscalls": [
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
                {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO"},
            ],
        },
    )
    text = oci.run("mkdir /x 2>&1 || true; grep Seccomp: /proc/self/status")
    assert "No space left on device" in text
    assert text.split()[-1] == "2"
    oci.set("linux.seccomp.flags", ["SECCOMP_FILTER_FLAG_NONE"])
    assert "linux.seccomp.flags: SECCOMP_FILTER_FLAG_NONE" in oci.fails()


def test_the_execution_domain(oci: Oci) -> None:
    oci.set("linux.personality", {"domain": "LINUX32"})
    assert oci.run("cat /proc/self/personality").strip() == "00000008"


@pytest.mark.parametrize("path", ["/dockmagic-test/{}", "relative/{}", ""])
def test_limits_at_the_groups_path(oci: Oci, path: str) -> None:
    oci.set("linux.cgroupsPath", path.format(oci.id))
    oci.set("linux.namespaces", namespaces("cgroup"))
    rate = [{"major": os.major(Path("/").stat().st_dev), "minor": os.minor(Path("/").stat().st_dev), "rate": 102400}]
    oci.set(
        "linux.resources",
        {
            "memory": {"limit": 64 << 20, "reservation": 32 << 20, "swap": 128 << 20},
            "cpu": {"shares": 512, "quota": 50_000, "period": 100_000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 99},
            "blockIO": {"throttleReadBpsDevice": rate, "throttleWriteIOPSDevice": rate},
        },
    )
    script = "cat /proc/self/cgroup; cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.shares pids/pids.max"
    more = (
        "cpu/cpu.cfs_quota_us cpuset/cpuset.cpus blkio/blkio.throttle.read_bps_device memory/memory.soft_limit_in_bytes"
    )
    lines = oci.run(f"{script} {more}").splitlines()
    place = {"": f"/dockmagic-oci/{oci.id}"}.get(path, path.format(oci.id))
    place = place if place.startswith("/") else f"/dockmagic-oci/{place}"
    assert f":memory:{place}" in "\n".join(lines)
    device = f"{rate[0]['major']}:{rate[0]['minor']} 102400"
    assert lines[-7:] == [str(64 << 20), "512", "99", "50000", "0", device, str(32 << 20)]
    for group in (
        *Path("/sys/fs/cgroup").glob("*/dockmagic-test"),
        *Path("/sys/fs/cgroup").glob("*/dockmagic-oci/relative"),
    ):
        group.rmdir()


def test_a_group_that_was_there_stays_with_who_is_in_it(oci: Oci) -> None:
    directory = Path("/sys/fs/cgroup/pids/dockmagic-test")
    directory.mkdir()
    with apart("--uts") as pid:
        (directory / "cgroup.procs").write_text(str(pid))
        oci.set("linux.cgroupsPath", "/dockmagic-test")
        oci.set("linux.namespaces", namespaces("pid", "cgroup"))
        assert ":pids:/dockmagic-test" in oci.run("cat /proc/self/cgroup")
        assert (directory / "cgroup.procs").read_text() == f"{pid}\n"
    for group in Path("/sys/fs/cgroup").glob("*/dockmagic-test"):
        group.rmdir()


UNSUPPORTED: list[tuple[str, Any]] = [
    ("linux.resources.network.classID", 5),
    ("linux.resources.rdma", {"mlx": {"hcaHandles": 1}}),
    ("linux.seccomp.listenerPath", "/x"),
]


def test_what_this_host_cannot_apply_is_an_error_that_names_it(oci: Oci) -> None:
    for path, value in UNSUPPORTED:
        before = json.dumps(oci.config)
        oci.set(path, value)
        if path == "linux.seccomp.listenerPath":
            oci.set("linux.seccomp.defaultAction", "SCMP_ACT_ALLOW")
        assert path in oci.fails()
        oci.config = json.loads(before)
    assert oci.do("list", "--quiet") == ""
