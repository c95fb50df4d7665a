"""A filter of system calls as a runtime spec's `linux.seccomp`. Source: config-linux.md "Seccomp"."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

from dockmagic.linux.seccomp import RET_ALLOW
from dockmagic.runtime.seccomp import MACHINES, check_machine, named
from dockmagic.runtime.seccomp_code import Action, NoneOf, OneOf

_ARCHITECTURES = {
    "x86_64": "SCMP_ARCH_X86_64",
    "i386": "SCMP_ARCH_X86",
    "aarch64": "SCMP_ARCH_AARCH64",
    "arm": "SCMP_ARCH_ARM",
}


def default_document(capabilities: frozenset[str], machine: str | None = None) -> dict[str, Any]:
    """The default profile for a process with these capabilities; Unsupported for a machine that isn't known."""
    name = machine or os.uname().machine
    check_machine(name)
    actions = named(capabilities, name)
    allowed = sorted(call for call, action in actions.items() if action == RET_ALLOW)
    rules = [{"names": allowed, "action": "SCMP_ACT_ALLOW"}]
    for call, action in actions.items():
        if action != RET_ALLOW:
            rules += _rules(call, action)
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.EPERM,
        "architectures": [_ARCHITECTURES[abi] for abi in MACHINES[name]],
        "syscalls": rules,
    }


def _rules(call: str, action: Action) -> Iterator[dict[str, Any]]:
    """The rules of a call that isn't simply allowed."""
    match action:
        case OneOf(values):
            for value in values:
                yield _with(call, {"index": 0, "value": value, "op": "SCMP_CMP_EQ"})
        case NoneOf(bits):
            yield _with(call, {"index": 0, "value": bits, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"})
        case _:
            yield {"names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS}


def _with(call: str, argument: dict[str, Any]) -> dict[str, Any]:
    return {"names": [call], "action": "SCMP_ACT_ALLOW", "args": [argument]}
