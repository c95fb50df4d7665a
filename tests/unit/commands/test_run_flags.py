from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from dockmagic.commands.catalogue import by_name
from dockmagic.commands.refused import BUILD, RUN, UPDATE, Refused
from dockmagic.commands.run_flags import run_options
from dockmagic.errors import InvalidOption
from dockmagic.oci.options import DeviceMapping, RunOptions
from dockmagic.oci.spec import BlockIO, DeviceRule, Mount, Rlimit


def options(*words: str) -> RunOptions:
    return run_options(by_name()["create"].parser("create").parse_words(words))


def test_without_flags_the_options_are_the_defaults() -> None:
    assert options("busybox") == RunOptions()


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("--name burn", "name", "burn"),
        ("--entrypoint sh", "entrypoint", ("sh",)),
        ("-e A=1 --env B=2", "env", ("A=1", "B=2")),
        ("-u 1000:1000", "user", "1000:1000"),
        ("--group-add audio", "group_add", ("audio",)),
        ("-w /app", "workdir", "/app"),
        ("-h web", "hostname", "web"),
        ("--domainname example", "domainname", "example"),
        ("-l a=1 --label b", "labels", {"a": "1", "b": ""}),
        ("-i", "interactive", True),
        ("--rm", "remove", True),
        ("--dns 192.0.2.1 --dns 2001:DB8::1", "dns", ("192.0.2.1", "2001:db8::1")),
        ("--dns-search example.org --dns-search .", "dns_search", ("example.org", ".")),
        ("--dns-opt ndots:2 --dns-option rotate", "dns_options", ("ndots:2", "rotate")),
        ("--add-host a:10.0.0.1 --add-host=b=[::1]", "extra_hosts", (("a", "10.0.0.1"), ("b", "::1"))),
        ("--add-host here:host-gateway", "extra_hosts", (("here", "host-gateway"),)),
        ("--network host", "network", "host"),
        ("--net=host", "network", "host"),
        ("--read-only", "read_only", True),
        ("-v /srv:/data:ro", "mounts", (Mount("/data", "bind", "/srv", ("rbind", "ro", "rprivate")),)),
        ("--tmpfs /run", "tmpfs", (Mount("/run", "tmpfs", "tmpfs", ("noexec", "nosuid", "nodev")),)),
        ("--shm-size 1m", "shm_size_bytes", 1 << 20),
        ("-m64m", "memory_bytes", 64 << 20),
        ("--memory-reservation 8m", "memory_reservation_bytes", 8 << 20),
        ("--cpus .5", "cpus", 0.5),
        ("-c 512", "cpu_shares", 512),
        ("--cpuset-cpus 0-1", "cpuset_cpus", "0-1"),
        ("--cpuset-mems 0", "cpuset_mems", "0"),
        ("--cpu-period 50000", "cpu_period_us", 50000),
        ("--cpu-quota 25000", "cpu_quota_us", 25000),
        ("--pids-limit -1", "pids_limit", -1),
        ("--memory-swappiness 0", "memory_swappiness", 0),
        ("--oom-kill-disable", "oom_kill_disable", True),
        ("--oom-score-adj 500", "oom_score_adj", 500),
        ("--blkio-weight 300", "block_io", BlockIO(300)),
        ("--sysctl net.ipv4.ip_forward=1", "sysctls", {"net.ipv4.ip_forward": "1"}),
        ("--ulimit nofile=10:20", "ulimits", (Rlimit("RLIMIT_NOFILE", 10, 20),)),
        ("--cap-add SYS_PTRACE", "cap_add", ("CAP_SYS_PTRACE",)),
        ("--cap-drop ALL", "cap_drop", ("ALL",)),
        ("--security-opt no-new-privileges", "no_new_privileges", True),
        ("--security-opt seccomp=unconfined", "seccomp", "unconfined"),
        ("--security-opt systempaths=unconfined", "unconfined_paths", True),
        ("--privileged", "privileged", True),
        ("--pid host", "pid", "host"),
        ("--pid container:web", "pid", "container:web"),
        ("--ipc none", "ipc", "none"),
        ("--ipc container:web", "ipc", "container:web"),
        ("--ipc shareable", "ipc", "shareable"),
        ("--uts host", "uts", "host"),
        ("--cgroupns host", "cgroupns", "host"),
        ("--network container:web", "network", "container:web"),
        ("--device /dev/fuse", "devices", (DeviceMapping("/dev/fuse", "/dev/fuse"),)),
        ("--device /dev/fuse:r", "devices", (DeviceMapping("/dev/fuse", "/dev/fuse", "r"),)),
        ("--device /dev/sda:/dev/xvda:rw", "devices", (DeviceMapping("/dev/sda", "/dev/xvda", "rw"),)),
        ("--stop-signal INT", "stop_signal", "INT"),
        ("--stop-timeout 3", "stop_timeout_s", 3),
    ],
)
def test_flags_mean_options(words: str, field: str, value: object) -> None:
    found = options(*words.split(), "busybox")
    assert getattr(found, field) == value
    others = [f.name for f in fields(RunOptions) if f.name != field]
    assert all(getattr(found, name) == getattr(RunOptions(), name) for name in others)


def test_swap_goes_with_memory() -> None:
    assert options("-m", "64m", "--memory-swap", "-1", "x").memory_swap_bytes == -1
    assert options("--memory-swap", "-1", "x").memory_swap_bytes is None


@pytest.mark.parametrize("option", ["label=disable", "apparmor=unconfined"])
def test_what_a_container_never_has_may_be_turned_off(option: str) -> None:
    assert options("--security-opt", option, "x") == RunOptions()


def test_a_rule_for_devices() -> None:
    found = options("--device-cgroup-rule", "c 42:* rm", "x").device_rules
    assert found == (DeviceRule(True, "c", 42, None, "rm"),)


def test_a_profile_of_system_calls_is_read(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text("{}")
    found = options("--security-opt", f"seccomp={tmp_path}/profile.json", "x")
    assert (found.seccomp, found.seccomp_profile) == ("profile", "{}")
    again = options("--security-opt", f"seccomp={tmp_path}/profile.json", "--security-opt", "seccomp=builtin", "x")
    assert (again.seccomp, again.seccomp_profile) == ("default", "")


def test_an_empty_entrypoint_clears_the_images() -> None:
    assert options("--entrypoint", "", "x").entrypoint == ()


def test_flags_end_at_the_image() -> None:
    assert options("--rm", "busybox", "sh", "-c", "echo $1", "--", "-d", "--rm=1").command == (
        "sh", "-c", "echo $1", "--", "-d", "--rm=1",
    )  # fmt: skip


def test_short_switches_may_be_joined() -> None:
    args = by_name()["run"].parser("run").parse_words(["-di", "x"])
    assert args.detach
    assert args.interactive


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--memory-swap 64m x", "give --memory too"),
        ("-m 64m --memory-swap 32m x", "can't be less"),
        ("-m 8m --memory-reservation 16m x", "can't be more"),
        ("--security-opt apparmor=none x", "apparmor=none isn't available"),
        ("--cpus 1e6 x", "there are only"),
        ("--pid private x", "'private' isn't a mode; use host"),
        ("--pid container: x", "isn't a mode"),
        ("--ipc container: x", "'container:' isn't a mode; use private, none, shareable or host"),
        ("--storage-opt size=10G x", "--storage-opt isn't available .* only for overlay over xfs with 'pquota'"),
        ("--userns keep-id x", "isn't a mode"),
        ("--uts host -h web x", "--hostname: with --uts host"),
        ("--net container:a -h web x", "--hostname: with --network container:a"),
        ("--dns here x", "--dns: IP address is not correctly formatted: here"),
        ("--dns-search a..b x", "--dns-search: a..b is not a valid domain"),
        ("--dns-search 127.0.0.1 x", "127.0.0.1 is not a valid domain"),
        ("--add-host a x", "--add-host: bad format for add-host: 'a'"),
        ("--add-host a:b:c=10.0.0.1 x", "bad format for add-host"),
        ("--add-host a:b x", "invalid IP address in add-host: 'b'"),
        ("--link a:b:c x", "--link: bad format for links: a:b:c"),
        ("--net host --link a x", "conflicting options: host type networking can't be used with links"),
        ("--net container:a --dns 192.0.2.1 x", "conflicting options: dns and the network mode"),
        ("--net container:a --add-host a:10.0.0.1 x", "conflicting options: custom host-to-IP mapping and the network"),
        ("--security-opt seccomp=/no/such/profile x", "seccomp=/no/such/profile: No such file"),
        ("--device fuse x", "isn't a device"),
        ("--device /dev/a:/dev/b:rw:c x", "isn't a device"),
        ("--device /dev/a:/b x", "/b isn't below /dev"),
        ("--device nvidia.com/gpu=all x", "CDI name"),
        ("--device-cgroup-rule c:1:3 x", "isn't a rule"),
        ("--cpus 1 --cpu-quota 50000 x", "--cpus and --cpu-quota both limit CPU time"),
        ("--cpus 1 --cpu-period 50000 x", "--cpus and --cpu-period both limit CPU time"),
        ("--cpu-period 10 x", "isn't a period"),
        ("--cpuset-mems a x", "isn't a list"),
        ("--memory-swappiness 101 x", "isn't a swappiness"),
        ("--oom-score-adj 1001 x", "from -1000 to 1000"),
        ("--blkio-weight 5 x", "from 10 to 1000"),
        ("--blkio-weight-device /dev/null:100 x", "/dev/null isn't a block device"),
        ("--device-read-bps /dev/no-such-disk:1mb x", "/dev/no-such-disk: No such file"),
        ("--device-write-iops sda:100 x", "isn't a device with a number"),
        ("--sysctl =1 x", "has no name"),
        ("-v /a:/m -v /b:/m/ x", "Duplicate mount point: /m"),
        ("-w app x", "-w/--workdir: 'app' isn't an absolute path"),
        ("--cap-drop BOGUS x", "--cap-drop: 'BOGUS' isn't a capability"),
        ("-a stdio x", "-a/--attach: invalid stream 'stdio'"),
        ("-p 8080:http x", "-p/--publish: invalid containerPort: http"),
        ("-p8080:http x", "invalid containerPort: http"),
        ("-v rel/data:/data x", "use absolute path"),
        ("--nonsense x", "unknown flag --nonsense"),
        ("--memory 64q x", "--memory"),
        ("--rm", "missing: IMAGE"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(words: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        options(*words.split())


@pytest.mark.parametrize(
    ("command", "table"),
    [("run", RUN), ("build", BUILD), ("update", UPDATE)],
)
def test_every_refused_flag_is_refused_by_name(command: str, table: tuple[Refused, ...]) -> None:
    parser = by_name()[command].parser(command)
    for refused in table:
        for name in refused.names:
            with pytest.raises(InvalidOption, match=f"^{name} isn't available yet: "):
                parser.parse_words([name] if refused.switch else [name, "value"])


# The reference's flags of docker run, docker/cli container_run.md.
DOCKER_RUN = """
--add-host --annotation --attach --blkio-weight --blkio-weight-device --cap-add --cap-drop --cgroup-parent --cgroupns
--cidfile --cpu-count --cpu-percent --cpu-period --cpu-quota --cpu-rt-period --cpu-rt-runtime --cpu-shares --cpus
--cpuset-cpus --cpuset-mems --detach --detach-keys --device --device-cgroup-rule --device-read-bps --device-read-iops
--device-write-bps --device-write-iops --disable-content-trust --dns --dns-option --dns-search --domainname --entrypoint
--env --env-file --expose --gpus --group-add --health-cmd --health-interval --health-retries --health-start-interval
--health-start-period --health-timeout --help --hostname --init --interactive --io-maxbandwidth --io-maxiops --ip --ip6
--ipc --isolation --kernel-memory --label --label-file --link --link-local-ip --log-driver --log-opt --mac-address
--memory --memory-reservation --memory-swap --memory-swappiness --mount --name --network --network-alias
--no-healthcheck --oom-kill-disable --oom-score-adj --pid --pids-limit --platform --privileged --publish --publish-all
--pull --quiet --read-only --restart --rm --runtime --security-opt --shm-size --sig-proxy --stop-signal --stop-timeout
--storage-opt --sysctl --tmpfs --tty --ulimit --use-api-socket --user --userns --uts --volume --volume-driver
--volumes-from --workdir
""".split()


def test_every_flag_of_docker_run_is_known() -> None:
    known = by_name()["run"].parser("run")._option_string_actions
    assert [flag for flag in DOCKER_RUN if flag not in known] == []
