from __future__ import annotations

from typing import Any

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.oci import defaults
from dockmagic.oci.codec import encode
from dockmagic.oci.convert import capability, convert, exec_process, memory, process
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.options import ExecOptions, RunOptions
from dockmagic.oci.spec import ConsoleSize, Memory, Mount, Namespace, Root, Spec

ROOT = Root("/rootfs")
FILES = {"/etc/hosts": "/run/hosts"}


def spec(config: ContainerConfig | None = None, **options: Any) -> Spec:
    """Spec of a container of this image with these options."""
    return convert(config or ContainerConfig(cmd=("sh",)), RunOptions(**options), ROOT, FILES, "box")


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "given", "replaced", "args"),
    [
        (None, ("c",), (), None, ("c",)),
        (("e",), None, (), None, ("e",)),
        (("e",), ("c",), (), None, ("e", "c")),
        (("e",), ("c",), ("g",), None, ("e", "g")),
        (None, ("c",), ("g",), None, ("g",)),
        (("e",), ("c",), (), ("r",), ("r",)),
        (("e",), ("c",), ("g",), ("r",), ("r", "g")),
        (("e",), ("c",), ("g",), (), ("g",)),
    ],
)
def test_arguments(
    entrypoint: tuple[str, ...] | None,
    cmd: tuple[str, ...] | None,
    given: tuple[str, ...],
    replaced: tuple[str, ...] | None,
    args: tuple[str, ...],
) -> None:
    config = ContainerConfig(entrypoint=entrypoint, cmd=cmd)
    assert spec(config, command=given, entrypoint=replaced).process.args == args


def test_no_arguments_at_all_are_refused() -> None:
    with pytest.raises(InvalidOption, match="no command specified"):
        spec(ContainerConfig())


def test_environment_keeps_the_last_value_of_a_name() -> None:
    config = ContainerConfig(cmd=("sh",), env=("A=image", "B=image=x", "PATH=/bin"))
    env = spec(config, env=("A=user", "C=")).process.env
    assert env == ("PATH=/bin", "HOSTNAME=box", "A=user", "B=image=x", "C=")


def test_a_name_alone_takes_a_variable_away() -> None:
    made = spec(ContainerConfig(cmd=("sh",), env=("A=image", "B=image")), env=("A", "D")).process
    assert made.env == (f"PATH={defaults.PATH}", "HOSTNAME=box", "B=image")
    assert exec_process(made, ExecOptions(("sh",), env=("HOSTNAME", "E=1", "F"))).env == (made.env[0], "B=image", "E=1")


def test_user_and_directory_come_from_the_image_unless_given() -> None:
    config = ContainerConfig(cmd=("sh",), user="node", working_dir="/app")
    assert (spec(config).process.user.username, spec(config).process.cwd) == ("node", "/app")
    given = spec(config, user="root", workdir="/tmp").process
    assert (given.user.username, given.cwd) == ("root", "/tmp")
    assert spec().process.cwd == "/"


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ((), (), set(defaults.CAPABILITIES)),
        (("CAP_SYS_TIME",), (), {*defaults.CAPABILITIES, "CAP_SYS_TIME"}),
        ((), ("CAP_MKNOD",), set(defaults.CAPABILITIES) - {"CAP_MKNOD"}),
        ((), ("ALL",), set()),
        (("CAP_CHOWN",), ("ALL",), {"CAP_CHOWN"}),
        (("ALL",), (), set(defaults.ALL_CAPABILITIES)),
        (("ALL",), ("CAP_SYS_ADMIN",), set(defaults.ALL_CAPABILITIES) - {"CAP_SYS_ADMIN"}),
    ],
)
def test_capabilities(add: tuple[str, ...], drop: tuple[str, ...], expected: set[str]) -> None:
    sets = spec(cap_add=add, cap_drop=drop).process.capabilities
    assert set(sets.bounding) == set(sets.effective) == set(sets.permitted) == expected
    assert sets.inheritable == sets.ambient == ()


def test_a_users_mount_takes_the_place_of_a_default_one() -> None:
    mine = Mount("/etc/hosts", "bind", "/my/hosts", ("rbind",))
    found = [mount for mount in spec(mounts=(mine,)).mounts if mount.destination == "/etc/hosts"]
    assert found == [mine]
    shm = Mount("/dev/shm", "tmpfs", "tmpfs", ("size=1m",))
    assert [mount for mount in spec(tmpfs=(shm,)).mounts if mount.destination == "/dev/shm"] == [shm]


def test_mounts_beyond_what_a_message_holds_are_refused() -> None:
    many = tuple(Mount(f"/{number}", "bind", "/srv", ("rbind",)) for number in range(181))
    with pytest.raises(InvalidOption, match="181 mounts are too many"):
        spec(mounts=many)


def test_the_hosts_network_means_no_namespace_and_no_name_of_its_own() -> None:
    shared = spec(network="host")
    assert Namespace("network") not in shared.linux.namespaces
    assert Namespace("network") in spec().linux.namespaces
    assert shared.hostname == ""
    assert spec(network="host", hostname="mine").hostname == "box"


def test_cpus_are_a_quota_of_a_period() -> None:
    cpu = spec(cpus=1.5, cpu_shares=512, cpuset_cpus="0").linux.resources.cpu
    assert (cpu.quota, cpu.period, cpu.shares, cpu.cpus) == (150_000, 100_000, 512, "0")


@pytest.mark.parametrize(
    ("limit", "swap", "expected"),
    [
        (None, None, Memory()),
        (0, 0, Memory()),
        (64 << 20, None, Memory(64 << 20, 128 << 20)),
        (64 << 20, 0, Memory(64 << 20, 128 << 20)),
        (64 << 20, 64 << 20, Memory(64 << 20, 64 << 20)),
        (64 << 20, -1, Memory(64 << 20, -1)),
    ],
)
def test_memory(limit: int | None, swap: int | None, expected: Memory) -> None:
    assert memory(RunOptions(memory_bytes=limit, memory_swap_bytes=swap)) == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"memory_bytes": 1 << 20}, "minimum memory limit is 6m"),
        ({"memory_swap_bytes": 64 << 20}, "set --memory too"),
        ({"memory_bytes": 64 << 20, "memory_swap_bytes": 32 << 20}, "must not be smaller than --memory"),
        ({"memory_bytes": 64 << 20, "memory_reservation_bytes": 128 << 20}, "must not be larger than --memory"),
    ],
)
def test_memory_that_contradicts_itself(options: dict[str, int], words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        memory(RunOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["CHOWN", "chown", "CAP_CHOWN", "Cap_Chown"])
def test_capabilities_in_any_spelling(text: str) -> None:
    assert capability(text) == "CAP_CHOWN"


def test_all_capabilities() -> None:
    assert capability("all") == "ALL"


@pytest.mark.parametrize("text", ["", "BOGUS", "CHOWN,KILL", "CAP_ALL"])
def test_capabilities_that_are_none(text: str) -> None:
    with pytest.raises(InvalidOption, match="isn't a capability"):
        capability(text)


def test_a_terminal_has_a_type_and_a_size() -> None:
    config = ContainerConfig(cmd=("sh",), env=("A=1",))
    size = ConsoleSize(24, 80)
    made = process(config, RunOptions(tty=True, console_size=size, env=("B=2",)), "h")
    assert (made.terminal, made.console_size) == (True, size)
    assert made.env[1:] == ("HOSTNAME=h", "TERM=xterm", "A=1", "B=2")
    assert encode(made)["consoleSize"] == {"height": 24, "width": 80}
    assert "TERM=vt100" in process(config, RunOptions(tty=True, env=("TERM=vt100",)), "h").env
    without = process(config, RunOptions(console_size=size), "h")
    assert (without.terminal, without.console_size) == (False, None)
    assert not any(entry.startswith("TERM") for entry in without.env)
