"""Filters of system calls written as programs of classic BPF: what becomes of a call, and how a program finds that.

A table of ranges of numbers is searched by halves, in about seven comparisons. Source: seccomp(2), linux/filter.h.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from dockmagic.linux.seccomp import (
    AND,
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
from dockmagic.linux.syscalls import LAST

EPERM: Final = RET_ERRNO | errno.EPERM
ENOSYS: Final = RET_ERRNO | errno.ENOSYS
_MAX_SKIP: Final = 255
_WORD: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class OneOf:
    """Allow a call whose first argument, taken as 32 bits as the kernel does, is one of the values."""

    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NoneOf:
    """Allow a call whose first argument has none of the bits."""

    bits: int


@dataclass(frozen=True, slots=True)
class Condition:
    """What an argument, of 64 bits, must be: `operator` is "EQ", "NE", "LT", "LE", "GE", "GT", or "MASKED_EQ".

    The last of them compares what `mask` leaves of the argument.
    """

    index: int
    operator: str
    value: int
    mask: int = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Rules:
    """The action of the first rule of which all conditions hold, else `otherwise`."""

    rules: tuple[tuple[tuple[Condition, ...], int], ...]
    otherwise: int


Action = int | OneOf | NoneOf | Rules
Ranges = Sequence[tuple[int, Action]]


def program(by_abi: Mapping[str, Ranges]) -> bytes:
    """A filter as an array of `struct sock_filter`: for each ABI its ranges; calls of any other kill the process."""
    written = [Instruction(LD, 0, 0, ARCHITECTURE)]
    for abi, ranges in by_abi.items():
        code = _Code()
        code.load(NUMBER, code.search(ranges))
        body = code.instructions()
        written += [Instruction(JEQ, 1, 0, AUDIT_ARCH[abi]), Instruction(JA, 0, 0, len(body)), *body]
    return assemble([*written, Instruction(RET, 0, 0, RET_KILL_PROCESS)])


def ranges(by_number: Mapping[int, Action], *, unnamed: Action = EPERM, beyond: Action = ENOSYS) -> Ranges:
    """The first number of each run of numbers with one action, ascending from 0.

    Numbers that aren't named have the action `unnamed`, those that are newer than our tables `beyond`.
    """
    found: list[tuple[int, Action]] = []
    for number in sorted({0, LAST + 1, *by_number, *(named + 1 for named in by_number)}):
        action = by_number.get(number, beyond if number > LAST else unnamed)
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
            case Rules(rules, otherwise):
                return self._rules(rules, self.action(otherwise))
            case int():
                return self.put(Instruction(RET, 0, 0, action))
            case _:
                assert_never(action)

    def _rules(self, rules: Iterable[tuple[tuple[Condition, ...], int]], otherwise: int) -> int:
        """Position of code that tries one rule after the other."""
        for conditions, action in reversed(tuple(rules)):
            position = self.action(action)
            for condition in reversed(conditions):
                position = self._condition(condition, position, otherwise)
            otherwise = position
        return otherwise

    def _condition(self, condition: Condition, yes: int, no: int) -> int:
        """Position of code that goes on with `yes` where the condition holds, else with `no`."""
        match condition.operator:
            case "NE":
                return self._equal(condition, no, yes)
            case "EQ" | "MASKED_EQ":
                return self._equal(condition, yes, no)
            case "GE" | "LT":
                least = condition.value
            case _:
                least = condition.value + 1
        if condition.operator in {"LT", "LE"}:
            yes, no = no, yes
        return no if least >> 64 else self._at_least(condition.index, least, yes, no)

    def _equal(self, condition: Condition, yes: int, no: int) -> int:
        """Position of code that compares both halves of what the mask leaves of an argument."""
        for shift in (0, 32):
            value, mask = condition.value >> shift & _WORD, condition.mask >> shift & _WORD
            yes = self.branch(JEQ, value, yes, no)
            if mask != _WORD:
                yes = self.put(Instruction(AND, 0, 0, mask))
            yes = self.load(argument(condition.index) + shift // 8, yes)
        return yes

    def _at_least(self, index: int, least: int, yes: int, no: int) -> int:
        """Position of code that finds out whether an argument is at least this much; its high half may tell."""
        high, low = least >> 32, least & _WORD
        same = self.load(argument(index), self.branch(JGE, low, yes, no))
        undecided = self.branch(JEQ, high, same, no)
        first = undecided if high == _WORD else self.branch(JGE, high + 1, yes, undecided)
        return self.load(argument(index) + 4, first)

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
