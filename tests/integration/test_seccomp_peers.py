"""The default filter beside one that libseccomp makes of the same profile: every call, every ABI, the same verdict."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dockmagic.linux import seccomp as bpf
from dockmagic.linux.syscalls import LAST, numbers
from dockmagic.runtime.seccomp import actions, default_filter
from dockmagic.runtime.seccomp_code import Action, NoneOf, OneOf
from tests.integration import libseccomp
from tests.unit.runtime.classic_bpf import verdict

ABIS = [("x86_64", "x86_64"), ("x86_64", "i386"), ("aarch64", "aarch64"), ("aarch64", "arm")]
CAPABILITIES = [frozenset[str](), frozenset({"CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE"})]
X32 = 0x4000_0000
each_abi = pytest.mark.parametrize(("machine", "abi"), ABIS)


def rules(name: str, action: Action) -> Iterator[tuple[str, int, libseccomp.Test | None]]:
    """The rules of libseccomp for one of our actions, where that isn't the default."""
    match action:
        case OneOf(values):  # libseccomp compares 64 bits, where the kernel takes an int
            yield from ((name, bpf.RET_ALLOW, (libseccomp.MASKED_EQUAL, 0xFFFF_FFFF, value)) for value in values)
        case NoneOf(bits):
            yield name, bpf.RET_ALLOW, (libseccomp.MASKED_EQUAL, bits, 0)
        case int() if action != libseccomp.EPERM:
            yield name, action, None


@each_abi
@pytest.mark.parametrize("capabilities", CAPABILITIES, ids=["none", "some"])
def test_every_call_has_the_same_verdict(machine: str, abi: str, capabilities: frozenset[str]) -> None:
    architecture, table = bpf.AUDIT_ARCH[abi], numbers(abi)
    ours, wanted = default_filter(capabilities, machine), actions(capabilities, machine, abi)
    known = {name: call for name, call in table.items() if libseccomp.number(architecture, name) is not None}
    theirs = libseccomp.program(
        architecture, [rule for name, call in known.items() for rule in rules(name, wanted.get(call, libseccomp.EPERM))]
    )
    strange = set(table.values()) - set(known.values())
    for call in (*range(LAST + 1), *known.values()):
        if call not in strange:
            arguments = (0, 2, 38, 17, 0x1000_0011, 0x3D_0F00, 0xFFFF_FFFF, 1 << 32 | 38)
            for argument in arguments if isinstance(wanted.get(call), OneOf | NoneOf) else (0,):
                expected = verdict(theirs, architecture, call, argument)
                assert verdict(ours, architecture, call, argument) == expected, (call, argument)
    assert len(known) > 300


@each_abi
def test_the_numbers_are_libseccomp_s_too(machine: str, abi: str) -> None:
    theirs = {name: libseccomp.number(bpf.AUDIT_ARCH[abi], name) for name in numbers(abi)}
    assert {name: call for name, call in numbers(abi).items() if theirs[name] not in (call, None)} == {}


@each_abi
def test_both_refuse_a_foreign_abi(machine: str, abi: str) -> None:
    theirs = libseccomp.program(bpf.AUDIT_ARCH[abi], [("read", bpf.RET_ALLOW, None)])
    ours = default_filter(frozenset(), machine)
    own = {bpf.AUDIT_ARCH[known] for _, known in ABIS if _ == machine}
    for architecture in {0, 0xFFFF_FFFF, 0xC000_00F3, *bpf.AUDIT_ARCH.values()} - own:
        assert verdict(ours, architecture, 0) == verdict(theirs, architecture, 0) == bpf.RET_KILL_PROCESS


def test_both_refuse_every_call_of_x32() -> None:
    architecture = bpf.AUDIT_ARCH["x86_64"]
    theirs = libseccomp.program(architecture, [(name, bpf.RET_ALLOW, None) for name in ("read", "write")])
    ours = default_filter(frozenset({"CAP_SYS_ADMIN"}), "x86_64")
    for call in range(X32, X32 + 600):
        assert bpf.RET_ALLOW not in {verdict(ours, architecture, call), verdict(theirs, architecture, call)}
