"""The default profile, judged by a small interpreter of classic BPF."""

from __future__ import annotations

import errno
import platform

import pytest

from dockmagic.errors import Unsupported
from dockmagic.linux import seccomp as bpf
from dockmagic.linux.syscalls import LAST, numbers
from dockmagic.runtime import seccomp_profile as profile
from dockmagic.runtime.seccomp import default_filter
from dockmagic.runtime.seccomp_code import ENOSYS, EPERM
from tests.unit.runtime.classic_bpf import verdict

ABIS = (("x86_64", "x86_64"), ("x86_64", "i386"), ("aarch64", "aarch64"), ("aarch64", "arm"))
BY_ARGUMENT = {"clone", "personality", "socket"}
NOBODY: frozenset[str] = frozenset()
ADMIN = frozenset({"CAP_SYS_ADMIN"})


def call(
    name: str, *arguments: int, capabilities: frozenset[str] = NOBODY, machine: str = "x86_64", abi: str = ""
) -> int:
    abi = abi or machine
    return verdict(default_filter(capabilities, machine), bpf.AUDIT_ARCH[abi], numbers(abi)[name], *arguments)


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_every_call_without_capabilities(machine: str, abi: str) -> None:
    allowed = {*profile.ALWAYS, *profile.ON_MACHINE.get(machine, ())}
    for name in numbers(abi).keys() - BY_ARGUMENT:
        expected = bpf.RET_ALLOW if name in allowed else ENOSYS if name == "clone3" else EPERM
        assert call(name, machine=machine, abi=abi) == expected, name


@pytest.mark.parametrize(("machine", "abi"), ABIS)
@pytest.mark.parametrize("capability", sorted(profile.WITH_CAPABILITY))
def test_a_capability_opens_its_calls_and_no_others(machine: str, abi: str, capability: str) -> None:
    opened = set(profile.WITH_CAPABILITY[capability])
    for name in numbers(abi).keys() - BY_ARGUMENT:
        with_it = call(name, capabilities=frozenset({capability}), machine=machine, abi=abi)
        assert with_it == (bpf.RET_ALLOW if name in opened else call(name, machine=machine, abi=abi)), name


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_numbers_that_nobody_knows_yet(machine: str, abi: str) -> None:
    program = default_filter(NOBODY, machine)
    for number in (LAST + 1, 1000, 0xF_0000, 0xF_0007, 0x4000_0000, 0x4000_0001, 0xFFFF_FFFF):
        assert verdict(program, bpf.AUDIT_ARCH[abi], number) == ENOSYS


def test_gaps_between_known_numbers_are_refused() -> None:
    assert verdict(default_filter(NOBODY, "x86_64"), bpf.AUDIT_ARCH["x86_64"], 400) == EPERM


@pytest.mark.parametrize(
    ("machine", "foreign"), [("x86_64", "aarch64"), ("x86_64", "arm"), ("aarch64", "x86_64"), ("aarch64", "i386")]
)
def test_a_foreign_architecture_is_killed(machine: str, foreign: str) -> None:
    assert verdict(default_filter(NOBODY, machine), bpf.AUDIT_ARCH[foreign], 1) == bpf.RET_KILL_PROCESS


def test_a_wrong_architecture_in_the_words_of_an_attacker() -> None:
    assert verdict(default_filter(ADMIN, "x86_64"), 0, numbers("x86_64")["read"]) == bpf.RET_KILL_PROCESS


@pytest.mark.parametrize(("machine", "abi"), ABIS)
@pytest.mark.parametrize("flag", [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000])
def test_clone_makes_no_namespace(machine: str, abi: str, flag: int) -> None:
    threads = 0x3D_0F00  # what pthread_create passes
    assert call("clone", threads, machine=machine, abi=abi) == bpf.RET_ALLOW
    assert call("clone", threads | flag, machine=machine, abi=abi) == EPERM
    assert call("clone", flag | 17, machine=machine, abi=abi) == EPERM
    assert call("clone", flag | 17, capabilities=ADMIN, machine=machine, abi=abi) == bpf.RET_ALLOW


def test_clone3_is_there_for_an_administrator_only() -> None:
    assert call("clone3") == bpf.RET_ERRNO | errno.ENOSYS
    assert call("clone3", capabilities=ADMIN) == bpf.RET_ALLOW


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_socket_families(machine: str, abi: str) -> None:
    refused = {12, 19, 20, 23, 25, 34, 37, 38, 40}
    for family in range(46):
        expected = EPERM if family in refused else bpf.RET_ALLOW
        assert call("socket", family, 2, machine=machine, abi=abi) == expected, family
    for family in (46, 1000, 0xFFFF_FFFF):
        assert call("socket", family, machine=machine, abi=abi) == EPERM


def test_targets_farther_than_a_branch_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "SOCKET_FAMILIES", tuple(range(0, 2000, 2)))
    program = default_filter.__wrapped__(NOBODY, "x86_64")
    socket = numbers("x86_64")["socket"]
    for family in range(2001):
        expected = bpf.RET_ALLOW if family < 2000 and family % 2 == 0 else EPERM
        assert verdict(program, bpf.AUDIT_ARCH["x86_64"], socket, family) == expected, family
    assert verdict(program, bpf.AUDIT_ARCH["x86_64"], numbers("x86_64")["read"]) == bpf.RET_ALLOW


def test_the_upper_half_of_an_int_argument_changes_nothing() -> None:
    assert call("socket", 1 << 32 | 38) == EPERM
    assert call("socket", 1 << 32 | 2) == bpf.RET_ALLOW


@pytest.mark.parametrize("value", [0x0, 0x8, 0x2_0000, 0x2_0008, 0xFFFF_FFFF])
def test_personalities_allowed(value: int) -> None:
    assert call("personality", value) == bpf.RET_ALLOW


@pytest.mark.parametrize("value", [1, 7, 9, 0x4_0000, 0x2_0001, 0x2_0009, 0xFFFF_FFFE])
def test_personalities_refused(value: int) -> None:
    assert call("personality", value) == EPERM


def test_a_full_set_of_capabilities_allows_what_each_allows() -> None:
    everything = frozenset(profile.WITH_CAPABILITY)
    for names in profile.WITH_CAPABILITY.values():
        assert all(call(name, capabilities=everything) == bpf.RET_ALLOW for name in names if name in numbers("x86_64"))
    assert call("keyctl", capabilities=everything) == EPERM


def test_an_unknown_capability_opens_nothing() -> None:
    assert default_filter(frozenset({"CAP_CHOWN"}), "x86_64") == default_filter(NOBODY, "x86_64")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_short_and_made_once(machine: str) -> None:
    program = default_filter(NOBODY, machine)
    assert len(program) % 8 == 0
    assert len(program) // 8 < 300
    assert default_filter(NOBODY, machine) is program


def test_this_machine_is_the_default() -> None:
    assert default_filter(NOBODY) == default_filter(NOBODY, platform.machine())


def test_an_unknown_machine_is_refused_with_a_way_out() -> None:
    with pytest.raises(Unsupported, match=r"riscv64.*seccomp=unconfined"):
        default_filter(NOBODY, "riscv64")


def test_names_are_those_of_the_kernel() -> None:
    known = {name for _, abi in ABIS for name in numbers(abi)}
    named = {
        *profile.ALWAYS,
        *BY_ARGUMENT,
        "clone3",
        *(name for names in profile.WITH_CAPABILITY.values() for name in names),
    }
    assert named <= known
    assert len(profile.ALWAYS) == len(set(profile.ALWAYS))
