"""Device rules on cgroup v2, which has no files for them: a program that the kernel asks at each open and mknod.

It says what the devices controller of v1 would say. Source: the kernel's admin-guide/cgroup-v1/devices and
bpf_cgroup_dev_ctx in linux/bpf.h.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Final

from dockmagic.linux import bpf
from dockmagic.linux.bpf import Instruction
from dockmagic.oci.spec import DeviceRule

Device = tuple[str, int | None, int | None]
"""Type "b" or "c", major and minor number; None is every one."""

TYPES: Final = {"b": 1, "c": 2}
ACCESS: Final = {"m": 1, "r": 2, "w": 4}
_ALL: Final = 7
_RESULT, _CONTEXT, _TYPE, _ACCESS, _MAJOR, _MINOR = range(6)  # what the registers hold


def fold(rules: Iterable[DeviceRule]) -> tuple[bool, dict[Device, int]]:
    """Whether devices are allowed in general, and the accesses (bits) that are the other way, by device.

    A rule for everything starts over. A rule of the general kind takes its accesses out of the exception for the same
    device; it can't take a part out of a wider exception, as on v1.
    """
    allowed = True
    exceptions: dict[Device, int] = {}
    for rule in rules:
        if rule.type == "a" and rule.major is None and rule.minor is None:
            allowed, exceptions = rule.allow, {}
            continue
        bits = sum(ACCESS[letter] for letter in set(rule.access))
        for kind in "bc" if rule.type == "a" else rule.type:
            device = (kind, rule.major, rule.minor)
            old = exceptions.pop(device, 0)
            new = old & ~bits if rule.allow == allowed else old | bits
            if new:
                exceptions[device] = new
    return allowed, exceptions


@functools.cache
def program(rules: tuple[DeviceRule, ...]) -> bytes:
    """A program of type cgroup/device that decides by the rules: 1 allows, 0 gives EPERM."""
    allowed, exceptions = fold(rules)
    code = [
        Instruction(bpf.LOAD_WORD, _TYPE, _CONTEXT, 0),  # access << 16 | type
        Instruction(bpf.MOVE, _ACCESS, _TYPE),
        Instruction(bpf.AND_NUMBER, _TYPE, immediate=0xFFFF),
        Instruction(bpf.SHIFT_RIGHT, _ACCESS, immediate=16),
        Instruction(bpf.LOAD_WORD, _MAJOR, _CONTEXT, 4),
        Instruction(bpf.LOAD_WORD, _MINOR, _CONTEXT, 8),
    ]
    for device, bits in exceptions.items():
        code += _exception(device, bits, allowed)
    return bpf.assemble([*code, *_answer(allowed)])


def _exception(device: Device, bits: int, allowed: bool) -> list[Instruction]:
    """Answer the other way for this device, or go on behind.

    An allowance must cover all accesses that are asked for; of a ban one is enough.
    """
    kind, major, minor = device
    tests = [(bpf.JUMP_UNEQUAL, _TYPE, TYPES[kind])]
    tests += [(bpf.JUMP_UNEQUAL, _MAJOR, major)] if major is not None else []
    tests += [(bpf.JUMP_UNEQUAL, _MINOR, minor)] if minor is not None else []
    code: list[Instruction] = []
    if allowed:
        code = [Instruction(bpf.AND_NUMBER, _CONTEXT, immediate=bits)]
        tests.append((bpf.JUMP_EQUAL, _CONTEXT, 0))
    elif bits != _ALL:
        code = [Instruction(bpf.AND_NUMBER, _CONTEXT, immediate=_ALL & ~bits)]
        tests.append((bpf.JUMP_UNEQUAL, _CONTEXT, 0))
    if code:
        code.insert(0, Instruction(bpf.MOVE, _CONTEXT, _ACCESS))
    answer = _answer(not allowed)
    for position, (jump, register, number) in enumerate(tests, start=1):
        code.append(Instruction(jump, register, 0, len(tests) - position + len(answer), number))
    return code + answer


def _answer(allowed: bool) -> list[Instruction]:
    return [Instruction(bpf.MOVE_NUMBER, _RESULT, immediate=int(allowed)), Instruction(bpf.EXIT)]


def enforce(directory_fd: int, rules: tuple[DeviceRule, ...]) -> None:
    """Put the rules in force for a cgroup2 directory, in place of those before. OSError where the kernel refuses."""
    bpf.replace(directory_fd, bpf.PROG_TYPE_CGROUP_DEVICE, bpf.CGROUP_DEVICE, program(rules))
