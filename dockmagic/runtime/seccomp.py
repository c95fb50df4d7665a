"""The default profile as a filter that the kernel can run, made without libseccomp.

Each architecture has a table of ranges of numbers, each with what becomes of a call in it; the filter finds the range
by binary search in about seven comparisons, and the kernel remembers the calls that are allowed whatever their
arguments. What the profile doesn't name gives EPERM; numbers that are newer than our tables give ENOSYS, which is what
a program expects that can do without (runc does the same); x32 calls are among those. On x86_64 the programs of i386
run too; any other foreign architecture is killed.

    load architecture ─ x86_64 ─ load number ─ search ─ allow · errno · search in an argument
                      └ i386 ─── …
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dockmagic.errors import Unsupported
from dockmagic.linux.seccomp import (
    ARCHITECTURE,
    AUDIT_ARCH,
    JA,
    JEQ,
    JGE,
    JSET,
    LD,
    NUMBER,
    RET,
    RET_ALLOW,
    RET_ERRNO,
    RET_KILL_PROCESS,
    Instruction,
    argument,
    assemble,
)
from dockmagic.linux.syscalls import numbers
from dockmagic.runtime import seccomp_profile as profile

EPERM: Final = RET_ERRNO | errno.EPERM
ENOSYS: Final = RET_ERRNO | errno.ENOSYS
_MACHINES: Final = {"x86_64": ("x86_64", "i386"), "aarch64": ("aarch64",)}
_MAX_SKIP: Final = 255


@dataclass(frozen=True, slots=True)
class OneOf:
    """Allow a call whose first argument, taken as 32 bits as the kernel does, is one of the values."""

    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """Allow a call whose first argument has none of the bits."""

    bits: int


Action = int | OneOf | NoneOf
Ranges = Sequence[tuple[int, Action]]


@functools.cache
def default_filter(capabilities: frozenset[str], machine: str | None = None) -> bytes:
    """The default profile for a process with these capabilities, as an array of `struct sock_filter`.

    `machine` is that of uname(2), by default this one's; Unsupported for one that isn't x86_64 or aarch64.
    """
    name = machine or os.uname().machine
    if name not in _MACHINES:
        raise Unsupported(f"a seccomp filter for {name}", "run the container with --security-opt seccomp=unconfined")
    program = [Instruction(LD, 0, 0, ARCHITECTURE)]
    for abi in _MACHINES[name]:
        code = _Code()
        code.load(NUMBER, code.search(_ranges(actions(capabilities, name, abi), max(numbers(abi).values()))))
        body = code.instructions()
        program += [Instruction(JEQ, 1, 0, AUDIT_ARCH[abi]), Instruction(JA, 0, 0, len(body)), *body]
    return assemble([*program, Instruction(RET, 0, 0, RET_KILL_PROCESS)])


def actions(capabilities: frozenset[str], machine: str, abi: str) -> dict[int, Action]:
    """What becomes of each call that the profile names, by the number it has in the ABI; the others give EPERM."""
    names: dict[str, Action] = {
        "clone": NoneOf(profile.NAMESPACE_FLAGS),
        "clone3": ENOSYS,  # its flags can't be looked at; C libraries fall back to clone
        "personality": OneOf(profile.PERSONALITIES),
        "socket": OneOf(profile.SOCKET_FAMILIES),
    }
    names |= dict.fromkeys([*profile.ALWAYS, *profile.ON_MACHINE.get(machine, ())], RET_ALLOW)
    for capability in capabilities:
        names |= dict.fromkeys(profile.WITH_CAPABILITY.get(capability, ()), RET_ALLOW)
    table = numbers(abi)
    return {table[name]: action for name, action in names.items() if name in table}


def _ranges(by_number: Mapping[int, Action], last: int) -> list[tuple[int, Action]]:
    """The first number of each run of numbers with one action, ascending from 0; beyond `last` all is ENOSYS."""
    found: list[tuple[int, Action]] = []
    for number in range(last + 2):
        action = ENOSYS if number > last else by_number.get(number, EPERM)
        if not found or found[-1][1] != action:
            found.append((number, action))
    return found


class _Code:
    """Instructions, written from the last to the first, so that the targets of every jump are known.

    A position counts instructions from the end. An action's code is written once and shared by all that lead to it.
    """

    def __init__(self) -> None:
        self._backwards: list[Instruction] = []
        self._actions: dict[Action, int] = {}

    def instructions(self) -> list[Instruction]:
        """All of them, in the order of running."""
        return self._backwards[::-1]

    def search(self, ranges: Ranges) -> int:
        """Position of code that finds the range of the number in A and does what is written there."""
        if len(ranges) == 1:
            return self.action(ranges[0][1])
        middle = len(ranges) // 2
        high, low = self.search(ranges[middle:]), self.search(ranges[:middle])
        return self.branch(JGE, ranges[middle][0], high, low)

    def action(self, action: Action) -> int:
        """Position of code that ends the run with the action."""
        if action not in self._actions:
            self._actions[action] = self._write(action)
        return self._actions[action]

    def branch(self, code: int, k: int, yes: int, no: int) -> int:
        """Position of a jump to one of two positions."""
        yes, no = self._near(yes), self._near(no)
        here = len(self._backwards)
        return self.put(Instruction(code, here - yes - 1, here - no - 1, k))

    def load(self, offset: int, then: int) -> int:
        """Position of code that loads a word and goes on with `then`."""
        if then != len(self._backwards) - 1:
            then = self._jump(then)
        return self.put(Instruction(LD, 0, 0, offset))

    def put(self, instruction: Instruction) -> int:
        """Position of an instruction, put before all others."""
        self._backwards.append(instruction)
        return len(self._backwards) - 1

    def _write(self, action: Action) -> int:
        match action:
            case NoneOf(bits):
                return self.load(argument(0), self.branch(JSET, bits, self.action(EPERM), self.action(RET_ALLOW)))
            case OneOf(values):
                return self.load(argument(0), self.search(_edges(values)))
            case _:
                return self.put(Instruction(RET, 0, 0, action))

    def _near(self, target: int) -> int:
        """The target, or a jump to it where the eight bits of a branch (two of which may follow) don't reach."""
        return target if len(self._backwards) - target < _MAX_SKIP else self._jump(target)

    def _jump(self, target: int) -> int:
        return self.put(Instruction(JA, 0, 0, len(self._backwards) - target - 1))


def _edges(values: Sequence[int]) -> list[tuple[int, Action]]:
    """Ranges of 32-bit numbers in which those of `values` are allowed and the others give EPERM."""
    allowed = set(values)
    borders = sorted({0, *allowed, *(value + 1 for value in allowed)} - {1 << 32})
    found: list[tuple[int, Action]] = []
    for start in borders:
        action = RET_ALLOW if start in allowed else EPERM
        if not found or found[-1][1] != action:
            found.append((start, action))
    return found
