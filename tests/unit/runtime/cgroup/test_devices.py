"""Device rules, folded and as a program that a small interpreter runs."""

from __future__ import annotations

import itertools
import struct

import pytest

from dockmagic.linux import bpf
from dockmagic.oci.defaults import DEVICE_RULES
from dockmagic.oci.spec import DeviceRule
from dockmagic.runtime.cgroup.devices import ACCESS, TYPES, fold, program

DENY_ALL = DeviceRule(False)
ALLOW_ALL = DeviceRule(True)


def verdict(code: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """What the program answers; fails on a jump out of it or an unknown instruction."""
    bits = sum(ACCESS[letter] for letter in access)
    context = struct.pack("=III", bits << 16 | TYPES[kind], major, minor)
    instructions = list(struct.iter_unpack("=BBhi", code))
    registers = {1: 0}
    counter = 0
    while True:
        operation, both, offset, number = instructions[counter]
        target, source = both & 15, both >> 4
        counter += 1
        match operation:
            case bpf.LOAD_WORD:
                (registers[target],) = struct.unpack_from("=I", context, offset)
            case bpf.MOVE:
                registers[target] = registers[source]
            case bpf.MOVE_NUMBER:
                registers[target] = number
            case bpf.AND_NUMBER:
                registers[target] &= number
            case bpf.SHIFT_RIGHT:
                registers[target] >>= number
            case bpf.JUMP_EQUAL:
                counter += offset if registers[target] == number else 0
            case bpf.JUMP_UNEQUAL:
                counter += offset if registers[target] != number else 0
            case bpf.EXIT:
                return bool(registers[0])
            case _:
                pytest.fail(f"unknown instruction {operation:#x}")


def test_no_rules_allow_everything() -> None:
    assert fold(()) == (True, {})
    assert verdict(program(()), "b", 8, 0, "rw")


def test_deny_all() -> None:
    assert fold((ALLOW_ALL, DENY_ALL)) == (False, {})
    assert not verdict(program((DENY_ALL,)), "c", 1, 3, "r")


def test_a_rule_for_everything_starts_over() -> None:
    assert fold((DENY_ALL, DeviceRule(True, "c", 1, 3), DENY_ALL)) == (False, {})


def test_accesses_of_one_device_add_up() -> None:
    rules = (DENY_ALL, DeviceRule(True, "c", 1, 3, "r"), DeviceRule(True, "c", 1, 3, "w"))
    assert fold(rules) == (False, {("c", 1, 3): 6})
    assert verdict(program(rules), "c", 1, 3, "rw")
    assert not verdict(program(rules), "c", 1, 3, "m")


def test_a_rule_takes_out_what_one_before_put_in() -> None:
    assert fold((DENY_ALL, DeviceRule(True, "c", 1, 3), DeviceRule(False, "c", 1, 3, "m"))) == (False, {("c", 1, 3): 6})
    assert fold((DENY_ALL, DeviceRule(True, "c", 1, 3), DeviceRule(False, "c", 1, 3))) == (False, {})


def test_any_type_with_numbers_is_both() -> None:
    assert fold((DENY_ALL, DeviceRule(True, "a", 8, None, "r"))) == (False, {("b", 8, None): 2, ("c", 8, None): 2})


def test_bans_in_an_open_world() -> None:
    code = program((DeviceRule(False, "b", 8, None, "w"), DeviceRule(False, "c", 1, 3)))
    assert verdict(code, "b", 8, 1, "r")
    assert not verdict(code, "b", 8, 1, "rw")
    assert not verdict(code, "b", 8, 77, "w")
    assert verdict(code, "b", 9, 1, "w")
    assert not verdict(code, "c", 1, 3, "r")


def test_large_numbers() -> None:
    code = program((DENY_ALL, DeviceRule(True, "b", 4095, 1_048_575, "r")))
    assert verdict(code, "b", 4095, 1_048_575, "r")
    assert not verdict(code, "b", 4095, 1_048_574, "r")


@pytest.mark.parametrize(
    "rules",
    [
        DEVICE_RULES,
        (
            DENY_ALL,
            DeviceRule(True, "c", None, None, "m"),
            DeviceRule(True, "c", 1, 3),
            DeviceRule(True, "b", 8, None, "r"),
        ),
        (ALLOW_ALL, DeviceRule(False, "c", 1, None, "w"), DeviceRule(False, "b", None, 3, "rm")),
    ],
)
def test_the_program_decides_as_the_rules_do(rules: tuple[DeviceRule, ...]) -> None:
    allowed, exceptions = fold(rules)
    code = program(rules)
    for kind, major, minor, access in itertools.product("bc", (1, 5, 8, 136), (0, 3, 9), ("m", "r", "w", "rw", "rwm")):
        bits = sum(ACCESS[letter] for letter in access)
        fitting = [
            exception
            for (of_kind, of_major, of_minor), exception in exceptions.items()
            if of_kind == kind and of_major in (None, major) and of_minor in (None, minor)
        ]
        hit = any(bits & exception if allowed else bits & ~exception == 0 for exception in fitting)
        assert verdict(code, kind, major, minor, access) == (allowed != bool(hit))
