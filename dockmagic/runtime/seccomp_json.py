"""A filter from a profile in Docker's JSON form, as `--security-opt seccomp=FILE` names one.

Source: docker's documentation, "Seccomp security profiles for Docker", and runtime-spec config-linux.md "Seccomp".
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dockmagic.errors import InvalidOption, one_of
from dockmagic.linux import seccomp as bpf
from dockmagic.linux.syscalls import numbers
from dockmagic.runtime.seccomp import MACHINES, check_machine
from dockmagic.runtime.seccomp_code import ENOSYS, Action, Condition, Rules, program, ranges

_ACTIONS: Final = {
    "SCMP_ACT_ALLOW": bpf.RET_ALLOW,
    "SCMP_ACT_ERRNO": bpf.RET_ERRNO,
    "SCMP_ACT_KILL": bpf.RET_KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": bpf.RET_KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": bpf.RET_KILL_PROCESS,
    "SCMP_ACT_LOG": bpf.RET_LOG,
    "SCMP_ACT_TRACE": bpf.RET_TRACE,
    "SCMP_ACT_TRAP": bpf.RET_TRAP,
}
_WITH_NUMBER: Final = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_OPERATORS: Final = ("EQ", "NE", "LT", "LE", "GE", "GT", "MASKED_EQ")
_ABIS: Final = {
    "SCMP_ARCH_X86_64": "x86_64",
    "SCMP_ARCH_X86": "i386",
    "SCMP_ARCH_AARCH64": "aarch64",
    "SCMP_ARCH_ARM": "arm",
}
_NAMES: Final = {"x86_64": "amd64", "aarch64": "arm64"}  # of machines, as profiles write them
_KEYS: Final = frozenset(("defaultAction", "defaultErrnoRet", "archMap", "architectures", "syscalls"))
_OF_RULE: Final = ("action", "errnoRet", "args")
_EPERM: Final = 1


class WrongProfile(InvalidOption):
    """A profile that can't be used; `why` says so without the flag that named it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"--security-opt seccomp: {why}")
        self.why = why


def profile_filter(text: str, capabilities: frozenset[str], machine: str | None = None) -> bytes:
    """The profile for a process with these capabilities, as an array of `struct sock_filter`.

    Numbers that are newer than our tables get ENOSYS unless the profile allows what it doesn't name. Raises
    InvalidOption for what is no profile or asks for something that can't be had, Unsupported for an unknown machine.
    """
    name = machine or os.uname().machine
    check_machine(name)
    try:
        document = json.loads(text)
        _check_keys(document)
        unnamed = _action(document["defaultAction"], document.get("defaultErrnoRet"))
        wanted = _abis(document, name)
        named = _by_name(document.get("syscalls") or (), _Holds(capabilities, name), unnamed)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _wrong(f"it isn't a profile ({type(error).__name__}: {error})") from error
    beyond = unnamed if unnamed == bpf.RET_ALLOW else ENOSYS
    return program({abi: ranges(_by_number(named, abi), unnamed=unnamed, beyond=beyond) for abi in wanted})


def chosen(text: str, capabilities: frozenset[str]) -> dict[str, Any]:
    """What of a valid profile holds for a process with these capabilities here, as a runtime spec writes it."""
    document, machine = json.loads(text), os.uname().machine
    holds = _Holds(capabilities, machine)
    listed = {name for name, abi in _ABIS.items() if abi in _abis(document, machine)}
    rules = [rule for rule in document.get("syscalls") or () if holds(rule)]
    kept = [
        {"names": rule.get("names") or [rule["name"]], **{key: rule[key] for key in _OF_RULE if rule.get(key)}}
        for rule in rules
    ]
    plain = {key: document[key] for key in ("defaultAction", "defaultErrnoRet") if document.get(key) is not None}
    return {**plain, "architectures": sorted(listed), "syscalls": kept}


class _Holds:
    """Decides whether a part of the profile holds for a process and a machine."""

    def __init__(self, capabilities: frozenset[str], machine: str) -> None:
        self._capabilities = capabilities
        self._names = {machine, _NAMES[machine]}
        self._kernel = _version(os.uname().release)

    def __call__(self, rule: Mapping[str, Any]) -> bool:
        """Whether all that the rule includes is there, and nothing that it excludes."""
        included, excluded = rule.get("includes") or {}, rule.get("excludes") or {}
        return self._has_all(included) and not self._has_any(excluded)

    def _has_all(self, wanted: Mapping[str, Any]) -> bool:
        return (
            set(wanted.get("caps") or ()) <= self._capabilities
            and (not wanted.get("arches") or bool(self._names.intersection(wanted["arches"])))
            and _version(wanted.get("minKernel") or "0.0") <= self._kernel
        )

    def _has_any(self, unwanted: Mapping[str, Any]) -> bool:
        newer = str(unwanted.get("minKernel") or "")
        return (
            bool(self._capabilities.intersection(unwanted.get("caps") or ()))
            or bool(self._names.intersection(unwanted.get("arches") or ()))
            or (newer != "" and _version(newer) <= self._kernel)
        )


def _by_name(rules: Sequence[Mapping[str, Any]], holds: _Holds, unnamed: int) -> dict[str, Action]:
    """What becomes of each call; of several rules for one the first with fitting arguments decides."""
    found: dict[str, list[tuple[tuple[Condition, ...], int]]] = {}
    for rule in rules:
        if not holds(rule):
            continue
        action = _action(rule["action"], rule.get("errnoRet"))
        for name in rule.get("names") or [rule["name"]]:
            found.setdefault(str(name), []).extend((conditions, action) for conditions in _alternatives(rule))
    return {name: _decision(entries, unnamed) for name, entries in found.items()}


def _decision(entries: Sequence[tuple[tuple[Condition, ...], int]], unnamed: int) -> Action:
    """The rules of a call; one that takes any arguments decides for all that the others leave."""
    general = next((action for conditions, action in entries if not conditions), unnamed)
    special = tuple((conditions, action) for conditions, action in entries if conditions and action != general)
    return Rules(special, general) if special else general


def _alternatives(rule: Mapping[str, Any]) -> list[tuple[Condition, ...]]:
    """The conditions of a rule; where one argument has several, each is a rule of its own, as with libseccomp."""
    conditions = [_condition(argument) for argument in rule.get("args") or ()]
    indexes = [condition.index for condition in conditions]
    if len(set(indexes)) == len(indexes):
        return [tuple(conditions)]
    return [(condition,) for condition in conditions]


def _condition(argument: Mapping[str, Any]) -> Condition:
    """One argument's condition; of a masked comparison the first value is the mask, and the second what is compared."""
    operator = str(argument["op"]).removeprefix("SCMP_CMP_")
    if operator not in _OPERATORS:
        raise _wrong(f"{argument['op']!r} is no comparison; there are {one_of(_OPERATORS)}")
    index, value, second = int(argument["index"]), int(argument["value"]), int(argument.get("valueTwo") or 0)
    if not 0 <= index < 6 or not all(0 <= number < 1 << 64 for number in (value, second)):
        raise _wrong(f"{dict(argument)}: an argument has an index below 6, and values of 64 bits")
    if operator == "MASKED_EQ":
        return Condition(index, operator, second & value, value)
    return Condition(index, operator, value)


def _action(name: object, number: object) -> int:
    """What the kernel is to do."""
    if name not in _ACTIONS:
        raise _wrong(f"the action {name!r} isn't available; there are {one_of(tuple(_ACTIONS))}")
    if name not in _WITH_NUMBER:
        return _ACTIONS[str(name)]
    return _ACTIONS[str(name)] | ((_EPERM if number is None else int(str(number))) & 0xFFFF)


def _abis(document: Mapping[str, Any], machine: str) -> tuple[str, ...]:
    """The ABIs that programs may use: the machine's own, and those that the profile lists."""
    listed = {str(name) for name in document.get("architectures") or ()}
    for entry in document.get("archMap") or ():
        if _ABIS.get(entry["architecture"]) == machine:
            listed.update(entry.get("subArchitectures") or ())
    others = {_ABIS.get(name) for name in listed}
    return tuple(abi for abi in MACHINES[machine] if abi == machine or abi in others)


def _by_number(named: Mapping[str, Action], abi: str) -> dict[int, Action]:
    """The same by the numbers that calls have in the ABI; names that it lacks mean nothing in it."""
    table = numbers(abi)
    return {table[name]: action for name, action in named.items() if name in table}


def _check_keys(document: Mapping[str, Any]) -> None:
    """Raise InvalidOption for a part of the profile that would have no effect."""
    unknown = sorted(key for key, value in document.items() if key not in _KEYS and value)
    if unknown:
        raise _wrong(f"{unknown[0]!r} isn't available; a profile has {one_of(sorted(_KEYS))}")


def _version(text: str) -> tuple[int, int]:
    """Major and minor number of a kernel."""
    match = re.match(r"(\d+)\.(\d+)", text)
    if match is None:
        raise _wrong(f"{text!r} is no version of a kernel; write it as 5.10")
    return int(match[1]), int(match[2])


def _wrong(what: str) -> WrongProfile:
    return WrongProfile(what)
