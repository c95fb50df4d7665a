"""The default profile as rules gives the same filter as the profile itself."""

from __future__ import annotations

import json

import pytest

from dockmagic.linux.seccomp import AUDIT_ARCH
from dockmagic.linux.syscalls import numbers
from dockmagic.runtime.seccomp import default_filter
from dockmagic.runtime.seccomp_document import default_document
from dockmagic.runtime.seccomp_json import chosen, profile_filter
from tests.unit.runtime.classic_bpf import verdict

CALLS = ("read", "mount", "clone", "clone3", "personality", "socket", "bpf", "unshare", "setns", "keyctl", "ptrace")


@pytest.mark.parametrize("capabilities", [frozenset[str](), frozenset(("CAP_SYS_ADMIN", "CAP_BPF"))])
def test_the_rules_say_what_the_filter_does(capabilities: frozenset[str]) -> None:
    made = profile_filter(json.dumps(default_document(capabilities, "x86_64")), capabilities, "x86_64")
    own = default_filter(capabilities, "x86_64")
    for abi in ("x86_64", "i386"):
        table = numbers(abi)
        for call in CALLS:
            for argument in (0, 2, 8, 40, 0x1000_0000, 0x7E02_0000):
                asked = (AUDIT_ARCH[abi], table[call], argument)
                assert verdict(made, *asked) == verdict(own, *asked), (call, asked)


def test_what_holds_of_a_profile() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        "syscalls": [
            {"name": "read", "action": "SCMP_ACT_ALLOW"},
            {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
            {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "comment": "none"},
        ],
    }
    found = chosen(json.dumps(profile), frozenset())
    assert found["syscalls"] == [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
    ]
    assert (found["defaultAction"], found["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
