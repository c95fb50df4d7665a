"""Flags of build with real builds: what its steps see, may use and may do; the files that it writes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import BuildError, DockerfileError, DockmagicError, InvalidOption, RunFailed
from dockmagic.events import BuildStep, StepState
from dockmagic.oci.options import RunOptions
from dockmagic.runtime.privileges import bounding_set
from tests.integration.build_words import build, dockerfile, said, warned
from tests.integration.containers import run

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]
OTHER = "arm64" if os.uname().machine == "x86_64" else "amd64"


def ran(engine: Engine, tmp_path: Path, command: str, *flags: str) -> str:
    """What a RUN writes in a build with these flags."""
    return said(build(engine, *flags, str(dockerfile(tmp_path / "c", f"FROM busybox\nRUN {command}\n")))[1])


def test_lines_for_the_hosts_file(engine: Engine, tmp_path: Path) -> None:
    text = ran(engine, tmp_path, "cat /etc/hosts", "--add-host", "one:10.1.2.3", "--add-host", "six=[fd00::1]")
    assert "10.1.2.3\tone\nfd00::1\tsix\n" in text
    host = ran(engine, tmp_path, "cat /etc/hosts #", "--network", "host", "--add-host", "here:host-gateway")
    assert host.endswith("127.0.0.1\there\n")
    bridged = ran(engine, tmp_path, "cat /etc/hosts ##", "--add-host", "here:host-gateway")
    assert re.search(r"^\d+\.\d+\.\d+\.1\there$", bridged, re.MULTILINE)


def test_another_address_makes_no_other_step_but_another_name_does(engine: Engine, tmp_path: Path) -> None:
    ran(engine, tmp_path, "echo x", "--add-host", "one:10.0.0.1")
    assert ran(engine, tmp_path, "echo x", "--add-host", "one:10.0.0.2") == ""
    assert ran(engine, tmp_path, "echo x", "--add-host", "two:10.0.0.2") == "x\n"


def test_limits_of_a_step(engine: Engine, tmp_path: Path) -> None:
    flags = "--shm-size 1m --ulimit nofile=100:200 -m 64m --cpu-period 50000 --cpu-quota 25000 --cpuset-cpus 0"
    command = (
        "df -k /dev/shm | tail -1 | awk '{print $2}'; ulimit -Sn; ulimit -Hn; grep Cpus_allowed_list /proc/self/status"
    )
    text = ran(engine, tmp_path, command, *flags.split(), "--cpuset-mems", "0")
    assert text.split() == ["1024", "100", "200", "Cpus_allowed_list:", "0"]
    memory = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    assert ran(engine, tmp_path, memory, "-m", "64m") == f"{64 << 20}\n"
    quota = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max"
    assert ran(engine, tmp_path, quota, "--cpu-period", "50000", "--cpu-quota", "25000") == "25000\n"


def test_limits_have_no_part_in_the_cache(engine: Engine, tmp_path: Path) -> None:
    ran(engine, tmp_path, "echo x", "-m", "64m")
    assert ran(engine, tmp_path, "echo x", "-m", "32m") == ""


def test_a_step_with_all_privileges(engine: Engine, tmp_path: Path) -> None:
    command = (
        "--security=insecure grep -E '^(CapEff|Seccomp):' /proc/self/status; mount -t tmpfs t /tmp && echo mounted"
    )
    with pytest.raises(DockerfileError, match=r"RUN --security=insecure isn't allowed .* --allow security.insecure"):
        ran(engine, tmp_path, command)
    words = ran(engine, tmp_path, command, "--allow", "security.insecure").split()
    host = Path("/proc/self/status").read_text().split("CapBnd:")[1].split()[0]
    assert words == ["CapEff:", host, "Seccomp:", "0", "mounted"]


def test_a_privileged_container(engine: Engine) -> None:
    script = (
        "touch /proc/sys/kernel/domainname && echo writable; ls /dev; mount -t tmpfs t /mnt || mount -t tmpfs t /tmp"
    )
    done = run(engine, "sh", "-c", script, privileged=True)
    assert done.status == 0, done.stderr
    names = set(done.stdout.split())
    assert "writable" in names
    nodes = {p.name for p in Path("/dev").iterdir() if p.is_block_device() or p.is_char_device()}
    assert nodes - {"console", "ptmx"} <= names
    assert "CAP_SYS_ADMIN" in bounding_set()
    plain = run(engine, "sh", "-c", "mount -t tmpfs t /tmp")
    assert plain.status != 0


def test_devices_of_a_privileged_container_can_be_used(engine: Engine) -> None:
    done = run(
        engine, "sh", "-c", "mknod /tmp/z c 1 5 && head -c 3 /tmp/z | wc -c; ls -l /sys | wc -l", privileged=True
    )
    assert done.stdout.split()[0] == "3"
    options = "cat /proc/mounts"
    mounts = run(engine, "sh", "-c", options, privileged=True).stdout
    assert " /sys sysfs rw" in mounts
    assert " /sys sysfs ro" in run(engine, "sh", "-c", options).stdout


def test_the_hosts_network_needs_an_entitlement(engine: Engine, tmp_path: Path) -> None:
    command = "--network=host ls /sys/class/net"
    with pytest.raises(DockerfileError, match=r"--allow network.host or --network host"):
        ran(engine, tmp_path, command)
    assert ran(engine, tmp_path, command, "--allow", "network.host")
    assert ran(engine, tmp_path, f"{command} #", "--network", "host")


def test_arguments_that_stand_for_flags(engine: Engine, tmp_path: Path) -> None:
    assert ran(engine, tmp_path, "hostname", "--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=mine") == "mine\n"
    mount = "--mount=type=cache,target=/c"
    ran(engine, tmp_path, f"{mount} touch /c/one")
    assert ran(engine, tmp_path, f"{mount} ls /c", "--build-arg", "BUILDKIT_CACHE_MOUNT_NS=other") == ""
    assert ran(engine, tmp_path, f"{mount} ls /c #", "--build-arg", "BUILDKIT_CACHE_MOUNT_NS=") == "one\n"


def test_several_names_and_the_files_about_the_image(engine: Engine, tmp_path: Path) -> None:
    context = dockerfile(tmp_path / "c", "FROM busybox\nENV A=1\n")
    words = ["-t", "one", "-t", "two:2", "--iidfile", str(tmp_path / "iid"), "--metadata-file", str(tmp_path / "m")]
    image, _ = build(engine, *words, str(context))
    assert (engine.images.get("one").id, engine.images.get("two:2").id) == (image.id, image.id)
    assert (tmp_path / "iid").read_text() == image.id
    assert json.loads((tmp_path / "m").read_text()) == {
        "containerimage.config.digest": image.id,
        "containerimage.digest": image.manifest_digest,
        "image.name": "docker.io/library/one:latest,docker.io/library/two:2",
    }
    with pytest.raises(InvalidOption, match="the image was built, but the file can't be: No such file"):
        build(engine, "--iidfile", str(tmp_path / "none/iid"), str(context))


def test_stages_without_the_cache(engine: Engine, tmp_path: Path) -> None:
    text = "FROM busybox AS one\nRUN echo 1\nFROM busybox AS two\nRUN echo 2\nCOPY --from=one /etc/group /g\n"
    context = str(dockerfile(tmp_path / "c", text))
    build(engine, context)
    _, console = build(engine, "--no-cache-filter", "Two,three", context)
    assert said(console) == "2\n"
    assert "[Warning] --no-cache-filter: there is no stage three" in warned(console)
    states = [event.state for event in console.events if isinstance(event, BuildStep)]
    assert states.count(StepState.CACHED) >= 2


def test_a_quiet_build_shows_the_output_of_what_failed(engine: Engine, tmp_path: Path) -> None:
    context = dockerfile(tmp_path / "c", "FROM busybox\nRUN echo why; exit 3\n")
    with pytest.raises(RunFailed, match=r"exit code: 3(.|\n)*\nwhy$"):
        build(engine, "-q", str(context))


def test_another_platform(engine: Engine, tmp_path: Path) -> None:
    text = "FROM --platform=$BUILDPLATFORM busybox AS tool\nARG TARGETARCH BUILDARCH\n"
    text += "RUN echo $BUILDARCH to $TARGETARCH | tee /out\nFROM scratch\nCOPY --from=tool /out /\n"
    context = str(dockerfile(tmp_path / "c", text))
    image, console = build(engine, "--platform", f"linux/{OTHER}", context)
    here = "amd64" if OTHER == "arm64" else "arm64"
    assert (image.config.architecture, said(console)) == (OTHER, f"{here} to {OTHER}\n")
    foreign = str(dockerfile(tmp_path / "f", 'FROM scratch\nCOPY Dockerfile /\nRUN ["/x"]\n'))
    with pytest.raises(BuildError, match=r"doesn't run programs for s390x; register an interpreter .* binfmt_misc"):
        build(engine, "--platform", "linux/s390x", foreign)
    with pytest.raises(InvalidOption, match="several platforms at once aren't available yet"):
        build(engine, "--platform", "linux/amd64,linux/arm64", context)
    with pytest.raises(InvalidOption, match="'x' isn't an architecture"):
        build(engine, "--platform", "linux/x", context)


def test_a_base_of_another_platform_is_not_taken_for_one_of_this(engine: Engine, tmp_path: Path) -> None:
    context = str(dockerfile(tmp_path / "c", "FROM busybox:latest\nENV A=1\n"))
    with pytest.raises(DockmagicError):  # there is no registry to have it from
        build(engine, "--platform", "linux/s390x", context)
    assert engine.containers.run("busybox", RunOptions(command=("true",), remove=True)).exit_status == 0
