"""What a container can see and do: namespaces, mounts, devices, capabilities, system calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.oci import defaults
from dockmagic.oci.options import RunOptions
from tests.integration.containers import run, shell

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


@pytest.mark.parametrize("kind", ["mnt", "uts", "ipc", "pid", "net", "cgroup"])
def test_each_namespace_is_the_containers_own(engine: Engine, kind: str) -> None:
    assert shell(engine, f"readlink /proc/self/ns/{kind}").strip() != str(Path(f"/proc/self/ns/{kind}").readlink())


def test_only_its_own_processes_are_seen(engine: Engine) -> None:
    assert shell(engine, "echo /proc/[0-9]* | wc -w; echo $$") in ("3\n1\n", "2\n1\n")


def test_loopback_is_up_and_the_only_link(engine: Engine) -> None:
    assert "127.0.0.1" in shell(engine, "ifconfig lo", network="none")
    assert "UP" in shell(engine, "ifconfig lo | grep UP", network="none")
    assert shell(engine, "ls /sys/class/net", network="none") == "lo\n"


def test_kernel_file_systems_are_mounted_with_dockers_options(engine: Engine) -> None:
    seen = {line.split()[1]: line.split()[2:4] for line in shell(engine, "cat /proc/mounts").splitlines()}
    assert seen["/proc"][0] == "proc"
    assert {"rw", "nosuid", "nodev", "noexec"} <= set(seen["/proc"][1].split(","))
    assert {"rw", "nosuid", "size=65536k", "mode=755"} <= set(seen["/dev"][1].split(","))
    assert {"gid=5", "mode=620", "ptmxmode=666"} <= set(seen["/dev/pts"][1].split(","))
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(seen["/sys"][1].split(","))
    assert seen["/dev/mqueue"][0] == "mqueue"
    assert {"size=65536k", "noexec"} <= set(seen["/dev/shm"][1].split(","))
    assert seen["/"][0] == "overlay"


def test_none_of_the_hosts_mounts_is_left_in_sight(engine: Engine) -> None:
    mounted = [line.split()[4] for line in shell(engine, "cat /proc/self/mountinfo").splitlines()]
    allowed = ("/proc", "/dev", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
    assert [path for path in mounted if path != "/" and not path.startswith(allowed)] == []


def test_devices_are_the_default_ones(engine: Engine) -> None:
    listing = shell(engine, "ls /dev").split()
    expected = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
    assert listing == [*(["core"] if Path("/proc/kcore").exists() else []), *expected]
    assert shell(engine, "echo lost > /dev/null; head -c 4 /dev/zero | wc -c; echo x > /dev/stdout") == "4\nx\n"


def test_a_device_that_isn_t_allowed_can_be_made_but_not_opened(engine: Engine) -> None:
    outcome = run(
        engine, "sh", "-c", "mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk; mknod /dev/mem c 1 1; cat /dev/mem"
    )
    assert outcome.stderr.count("Operation not permitted") == 2


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts"])
def test_masked_files_are_empty(engine: Engine, path: str) -> None:
    if Path(path).exists():
        assert shell(engine, f"wc -c < {path}").strip() == "0"


@pytest.mark.parametrize("path", ["/proc/acpi", "/sys/firmware", "/proc/scsi"])
def test_masked_directories_are_empty(engine: Engine, path: str) -> None:
    if Path(path).exists():
        assert shell(engine, f"ls {path}") == ""


@pytest.mark.parametrize("path", ["/proc/sys/kernel/domainname", "/proc/sysrq-trigger", "/sys/kernel/profiling"])
def test_kernel_settings_can_t_be_written(engine: Engine, path: str) -> None:
    outcome = run(engine, "sh", "-c", f"echo 1 > {path}")
    assert "Read-only file system" in outcome.stderr or "nonexistent" in outcome.stderr


def test_the_cgroup_is_the_root_of_what_is_seen(engine: Engine) -> None:
    assert {line.rpartition(":")[2] for line in shell(engine, "cat /proc/self/cgroup").splitlines()} == {"/"}
    assert (
        "Read-only file system" in run(engine, "sh", "-c", "cd /sys/fs/cgroup; cd memory 2> /dev/null; mkdir x").stderr
    )


def status(engine: Engine, **options: object) -> dict[str, str]:
    text = shell(engine, "cat /proc/self/status", **options)
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def mask(names: tuple[str, ...]) -> str:
    return f"{sum(1 << defaults.ALL_CAPABILITIES.index(name) for name in names):016x}"


def test_capabilities_are_dockers_fourteen(engine: Engine) -> None:
    found = status(engine)
    assert found["CapEff"] == found["CapPrm"] == found["CapBnd"] == mask(defaults.CAPABILITIES)
    assert found["CapInh"] == found["CapAmb"] == "0" * 16


def test_a_user_other_than_root_has_no_effective_capability(engine: Engine) -> None:
    found = status(engine, user="nobody")
    assert found["CapEff"] == found["CapPrm"] == "0" * 16
    assert found["CapBnd"] == mask(defaults.CAPABILITIES)
    assert found["Uid"].split() == ["65534"] * 4


def test_capabilities_are_added_and_dropped(engine: Engine) -> None:
    assert status(engine, cap_drop=("ALL",))["CapEff"] == "0" * 16
    assert status(engine, cap_drop=("ALL",), cap_add=("CAP_CHOWN",))["CapEff"] == mask(("CAP_CHOWN",))
    without = tuple(name for name in defaults.CAPABILITIES if name != "CAP_MKNOD")
    assert status(engine, cap_drop=("CAP_MKNOD",), cap_add=("CAP_SYS_TIME",))["CapEff"] == mask(
        (*without, "CAP_SYS_TIME")
    )


def test_no_new_privileges(engine: Engine) -> None:
    assert status(engine)["NoNewPrivs"] == "0"
    assert status(engine, no_new_privileges=True)["NoNewPrivs"] == "1"


def test_system_calls_are_filtered_unless_unconfined(engine: Engine) -> None:
    assert status(engine)["Seccomp"] == "2"
    assert status(engine, seccomp="unconfined")["Seccomp"] == "0"
    assert "not permitted" in run(engine, "unshare", "-U", "true").stderr.lower()
    assert "permission denied" in run(engine, "mount", "-t", "tmpfs", "x", "/tmp").stderr


def test_no_descriptor_of_the_runtime_reaches_the_container(engine: Engine) -> None:
    assert shell(engine, "ls /proc/self/fd").split() == ["0", "1", "2", "3"]  # 3 is ls's own
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "60")))
    pid = container.state().pid
    assert sorted(path.name for path in Path(f"/proc/{pid}/fd").iterdir()) == ["0", "1", "2"]
    container.rm(force=True)


def test_signals_have_their_default_actions(engine: Engine) -> None:
    text = run(engine, "cat", "/proc/self/status").stdout  # a shell would change some
    found = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert found["SigIgn"].strip("0") == ""
    assert found["SigBlk"].strip("0") == ""


def test_the_image_is_unchanged_by_its_containers(engine: Engine) -> None:
    shell(engine, "rm /bin/vi; echo changed > /etc/passwd; mkdir /new")
    assert shell(engine, "ls /bin/vi; wc -l < /etc/passwd; ls -d /new 2>&1 || true") != ""
    assert "root:x:0:0" in shell(engine, "cat /etc/passwd")


def test_links_of_an_image_lead_no_mount_out_of_the_root(engine: Engine, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "hosts").write_text("untouched\n")
    engine.build(f"FROM busybox\nRUN rm -rf /etc/hosts /data; ln -s {victim} /data", tags=["links"])
    from dockmagic.oci.spec import Mount

    bind = Mount("/data/sub", "bind", str(tmp_path), ("rbind", "rprivate"))
    assert shell(engine, "readlink /data", image="links", mounts=(bind,)).strip() == str(victim)
    assert sorted(path.name for path in victim.iterdir()) == ["hosts"]


def test_an_image_whose_proc_is_a_link_is_refused(engine: Engine) -> None:
    from dockmagic.errors import StartFailed

    engine.build("FROM busybox\nCOPY --from=busybox /etc /keep", tags=["base"])
    tree = engine.snapshots.path(engine.images.get("base").chain_ids[-1])
    (tree / "proc").symlink_to("/keep")
    with pytest.raises(StartFailed, match="/proc of the image is not a directory"):
        run(engine, "true", image="base")


def test_the_next_container_of_an_image_finds_its_mount_points_and_the_image_as_it_was(engine: Engine) -> None:
    engine.build("FROM busybox\nRUN chmod 0751 /etc; chown 7:8 /etc; touch -d '2001-02-03 04:05:06' /etc", tags=["odd"])
    script = "stat -c '%a %u %g %Y' /etc; ls -A /etc | sort; ls -A / | sort"
    first, second = shell(engine, script, image="odd"), shell(engine, script, image="odd")
    assert first.startswith("751 7 8 981173106\n")
    assert first == second


def test_mount_points_leave_no_trace_in_what_the_container_wrote(engine: Engine, state_root: Path) -> None:
    container = engine.containers.create("busybox", RunOptions(command=("touch", "/mine")))
    container.start()
    container.wait()
    upper = state_root / "containers" / container.id / "upper"
    assert sorted(str(path.relative_to(upper)) for path in upper.rglob("*")) == ["mine"]
