"""Profiles in Docker's JSON form, judged by a small interpreter of classic BPF."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.errors import InvalidOption, Unsupported
from dockmagic.linux import seccomp as bpf
from dockmagic.linux.syscalls import numbers
from dockmagic.runtime.seccomp_code import ENOSYS, EPERM
from dockmagic.runtime.seccomp_json import profile_filter
from tests.unit.runtime.classic_bpf import verdict

NOBODY: frozenset[str] = frozenset()
ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
COMPARE = {
    "SCMP_CMP_EQ": lambda argument, value, second: argument == value,
    "SCMP_CMP_NE": lambda argument, value, second: argument != value,
    "SCMP_CMP_LT": lambda argument, value, second: argument < value,
    "SCMP_CMP_LE": lambda argument, value, second: argument <= value,
    "SCMP_CMP_GE": lambda argument, value, second: argument >= value,
    "SCMP_CMP_GT": lambda argument, value, second: argument > value,
    "SCMP_CMP_MASKED_EQ": lambda argument, value, second: argument & value == second & value,
}
WORDS = st.one_of(
    st.sampled_from([0, 1, (1 << 32) - 1, 1 << 32, (1 << 64) - 1, 0xFFFF_FFFF << 32]), st.integers(0, (1 << 64) - 1)
)


def profile(*rules: dict[str, Any], default: str = ERRNO, **more: Any) -> str:
    return json.dumps({"defaultAction": default, "syscalls": list(rules), **more})


def with_argument(index: int, operator: str, value: int) -> str:
    arguments = [{"index": index, "op": operator, "value": value}]
    return profile({"names": ["read"], "action": ALLOW, "args": arguments})


def call(text: str, name: str, *arguments: int, abi: str = "x86_64", capabilities: frozenset[str] = NOBODY) -> int:
    program = profile_filter(text, capabilities, "x86_64")
    return verdict(program, bpf.AUDIT_ARCH[abi], numbers(abi)[name], *arguments)


def test_what_is_named_and_what_is_not() -> None:
    text = profile({"names": ["read", "write", "no_such_call"], "action": ALLOW})
    assert call(text, "read") == bpf.RET_ALLOW
    assert call(text, "mkdir") == EPERM
    assert verdict(profile_filter(text, NOBODY, "x86_64"), bpf.AUDIT_ARCH["x86_64"], 5000) == ENOSYS


def test_a_profile_that_allows_what_it_doesn_t_name() -> None:
    text = profile({"names": ["mkdir"], "action": ERRNO, "errnoRet": 38}, default=ALLOW)
    assert (call(text, "mkdir"), call(text, "read")) == (ENOSYS, bpf.RET_ALLOW)
    assert verdict(profile_filter(text, NOBODY, "x86_64"), bpf.AUDIT_ARCH["x86_64"], 5000) == bpf.RET_ALLOW


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("SCMP_ACT_KILL", bpf.RET_KILL_THREAD),
        ("SCMP_ACT_KILL_PROCESS", bpf.RET_KILL_PROCESS),
        ("SCMP_ACT_TRAP", bpf.RET_TRAP),
        ("SCMP_ACT_LOG", bpf.RET_LOG),
        ("SCMP_ACT_TRACE", bpf.RET_TRACE | 1),
        ("SCMP_ACT_ERRNO", EPERM),
    ],
)
def test_actions(action: str, expected: int) -> None:
    assert call(profile({"names": ["mkdir"], "action": action}, default=ALLOW), "mkdir") == expected


def test_the_default_may_have_a_number_of_its_own() -> None:
    assert call(profile(defaultErrnoRet=38), "read") == ENOSYS


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(sorted(COMPARE)), WORDS, WORDS),
        min_size=1,
        max_size=3,
        unique_by=lambda argument: argument[0],
    ),
    st.lists(WORDS, min_size=6, max_size=6),
    st.booleans(),
)
def test_arguments_are_compared_in_all_their_bits(
    conditions: list[tuple[int, str, int, int]], arguments: list[int], fit: bool
) -> None:
    if fit:
        for index, _, value, _ in conditions:
            arguments[index] = value
    args = [{"index": i, "op": op, "value": value, "valueTwo": second} for i, op, value, second in conditions]
    holds = all(COMPARE[op](arguments[i], value, second) for i, op, value, second in conditions)
    text = profile({"names": ["socket"], "action": ALLOW, "args": args})
    assert call(text, "socket", *arguments) == (bpf.RET_ALLOW if holds else EPERM)


def test_several_conditions_on_one_argument_are_alternatives() -> None:
    args = [{"index": 0, "op": "SCMP_CMP_EQ", "value": value} for value in (1, 2, 16)]
    text = profile({"names": ["socket"], "action": ALLOW, "args": args})
    assert [call(text, "socket", family) == bpf.RET_ALLOW for family in (1, 2, 3, 16)] == [True, True, False, True]


def test_a_rule_for_any_arguments_decides_for_the_rest() -> None:
    one = {"names": ["personality"], "action": ERRNO, "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 8}]}
    text = profile(one, {"names": ["personality"], "action": ALLOW})
    assert (call(text, "personality", 8), call(text, "personality", 9)) == (EPERM, bpf.RET_ALLOW)


def test_parts_for_capabilities_machines_and_kernels() -> None:
    text = profile(
        {"names": ["mount"], "action": ALLOW, "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["chroot"], "action": ALLOW, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["arch_prctl"], "action": ALLOW, "includes": {"arches": ["amd64", "x32"]}},
        {"names": ["read"], "action": ALLOW, "includes": {"arches": ["arm64"]}},
        {"names": ["write"], "action": ALLOW, "includes": {"minKernel": "3.0"}},
        {"names": ["close"], "action": ALLOW, "includes": {"minKernel": "99.1"}},
        {"names": ["open"], "action": ALLOW, "excludes": {"minKernel": "99.1"}},
    )
    admin = frozenset({"CAP_SYS_ADMIN"})
    allowed = {
        name: (call(text, name) == bpf.RET_ALLOW, call(text, name, capabilities=admin) == bpf.RET_ALLOW)
        for name in ("mount", "chroot", "arch_prctl", "read", "write", "close", "open")
    }
    assert allowed == {
        "mount": (False, True),
        "chroot": (True, False),
        "arch_prctl": (True, True),
        "read": (False, False),
        "write": (True, True),
        "close": (False, False),
        "open": (True, True),
    }


@pytest.mark.parametrize(
    "more",
    [
        {"architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]},
        {"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}]},
    ],
)
def test_programs_of_a_subarchitecture_run_where_it_is_listed(more: dict[str, Any]) -> None:
    rule = {"names": ["read"], "action": ALLOW}
    assert call(profile(rule, **more), "read", abi="i386") == bpf.RET_ALLOW
    assert call(profile(rule), "read", abi="i386") == bpf.RET_KILL_PROCESS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it isn't a profile"),
        ("[]", "it isn't a profile"),
        ("{}", "it isn't a profile"),
        ('{"defaultAction": "SCMP_ACT_NOTIFY"}', "'SCMP_ACT_NOTIFY' isn't available"),
        ('{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"}', "'listenerPath' isn't available"),
        (profile({"names": ["read"]}), "it isn't a profile"),
        (profile({"action": ALLOW}), "it isn't a profile"),
        (
            profile({"names": ["read"], "action": ALLOW, "args": [{"index": 6, "op": "SCMP_CMP_EQ", "value": 1}]}),
            "below 6",
        ),
        (
            profile({"names": ["read"], "action": ALLOW, "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": -1}]}),
            "64 bits",
        ),
        (
            profile({"names": ["read"], "action": ALLOW, "args": [{"index": 0, "op": "LIKE", "value": 1}]}),
            "no comparison",
        ),
        (profile({"names": ["read"], "action": ALLOW, "includes": {"minKernel": "new"}}), "no version"),
    ],
)
def test_what_is_no_profile_says_so(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        profile_filter(text, NOBODY, "x86_64")


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(Unsupported, match="riscv64"):
        profile_filter(profile(), NOBODY, "riscv64")


def test_this_machine_is_the_default() -> None:
    assert profile_filter(profile(), NOBODY) == profile_filter(profile(), NOBODY, os.uname().machine)
