"""The default profile as a filter that the kernel can run, made without libseccomp.

Each architecture has a table of ranges of numbers, each with what becomes of a call in it; the filter finds the range
by binary search in about seven comparisons, and the kernel remembers the calls that are allowed whatever their
arguments. What the profile doesn't name gives EPERM; numbers that are newer than our tables give ENOSYS, which is what
a program expects that can do without (runc does the same); x32 calls are among those. On x86_64 the programs of i386
run too, on aarch64 those of 32-bit ARM; any other foreign architecture is killed.

    load architecture ─ x86_64 ─ load number ─ search ─ allow · errno · search in an argument
                      └ i386 ─── …
"""

from __future__ import annotations

import functools
import os
from typing import Final

from dockmagic.errors import Unsupported
from dockmagic.linux.seccomp import RET_ALLOW
from dockmagic.linux.syscalls import numbers
from dockmagic.runtime import seccomp_profile as profile
from dockmagic.runtime.seccomp_code import ENOSYS, Action, NoneOf, OneOf, program, ranges

MACHINES: Final = {"x86_64": ("x86_64", "i386"), "aarch64": ("aarch64", "arm")}
"""ABIs by machine, of uname(2), whose programs it runs."""


@functools.cache
def default_filter(capabilities: frozenset[str], machine: str | None = None) -> bytes:
    """The default profile for a process with these capabilities, as an array of `struct sock_filter`.

    `machine` is that of uname(2), by default this one's; Unsupported for one that isn't x86_64 or aarch64.
    """
    name = machine or os.uname().machine
    check_machine(name)
    return program({abi: ranges(actions(capabilities, name, abi)) for abi in MACHINES[name]})


def check_machine(name: str) -> None:
    """Raise Unsupported for a machine whose system calls aren't known here."""
    if name not in MACHINES:
        raise Unsupported(f"a seccomp filter for {name}", "run the container with --security-opt seccomp=unconfined")


def actions(capabilities: frozenset[str], machine: str, abi: str) -> dict[int, Action]:
    """What becomes of each call that the profile names, by the number it has in the ABI; the others give EPERM."""
    table = numbers(abi)
    return {table[name]: action for name, action in named(capabilities, machine).items() if name in table}


def named(capabilities: frozenset[str], machine: str) -> dict[str, Action]:
    """What becomes of each call that the profile names."""
    names: dict[str, Action] = {
        "clone": NoneOf(profile.NAMESPACE_FLAGS),
        "clone3": ENOSYS,  # its flags can't be looked at; C libraries fall back to clone
        "personality": OneOf(profile.PERSONALITIES),
        "socket": OneOf(profile.SOCKET_FAMILIES),
    }
    names |= dict.fromkeys([*profile.ALWAYS, *profile.ON_MACHINE.get(machine, ())], RET_ALLOW)
    for capability in capabilities:
        names |= dict.fromkeys(profile.WITH_CAPABILITY.get(capability, ()), RET_ALLOW)
    return names
