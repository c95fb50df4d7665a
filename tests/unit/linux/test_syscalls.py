"""Numbers that never change, taken from the kernel's headers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dockmagic.linux.syscalls import LAST, MACHINES, numbers

HEADERS = {"x86_64": "unistd_64.h", "i386": "unistd_32.h"}


@pytest.mark.parametrize(
    ("machine", "name", "number"),
    [
        ("x86_64", "read", 0),
        ("x86_64", "seccomp", 317),
        ("x86_64", "rseq", 334),
        ("i386", "exit", 1),
        ("i386", "clock_gettime64", 403),
        ("i386", "socketcall", 102),
        ("aarch64", "io_setup", 0),
        ("aarch64", "newfstatat", 79),
        ("aarch64", "seccomp", 277),
        ("aarch64", "clone3", 435),
        ("aarch64", "mseal", 462),
        ("arm", "openat", 322),
        ("arm", "seccomp", 383),
        ("arm", "set_tls", 0xF_0005),
    ],
)
def test_known_numbers(machine: str, name: str, number: int) -> None:
    assert numbers(machine)[name] == number


@pytest.mark.parametrize("machine", MACHINES)
def test_no_number_is_given_twice(machine: str) -> None:
    found = numbers(machine)
    assert len(set(found.values())) == len(found) > 300


@pytest.mark.parametrize("machine", MACHINES)
def test_the_newest_are_shared(machine: str) -> None:
    assert {name: numbers(machine)[name] for name in ("openat2", "file_setattr")} == {
        "openat2": 437,
        "file_setattr": 469,
    }


@pytest.mark.parametrize("machine", MACHINES)
def test_the_last_one_is_the_highest_but_for_arm_s_own(machine: str) -> None:
    assert max(number for number in numbers(machine).values() if number < 0xF_0000) == LAST


def test_an_unknown_machine() -> None:
    with pytest.raises(KeyError):
        numbers("mips")


@pytest.mark.parametrize("machine", HEADERS)
def test_the_headers_of_this_machine_agree(machine: str) -> None:
    found = [path.read_text() for path in Path("/usr/include").glob(f"*/asm/{HEADERS[machine]}")]
    defined = re.findall(r"^#define __NR_(\w+) (\d+)$", "".join(found), re.MULTILINE)
    ours = numbers(machine)
    assert [name for name, number in defined if ours.get(name) not in (int(number), None)] == []


def test_the_generic_header_agrees_about_arm64() -> None:
    text = Path("/usr/include/asm-generic/unistd.h").read_text()
    defined = re.findall(r"^#define __NR(?:3264)?_(\w+) (\d+)$", text, re.MULTILINE)
    ours = numbers("aarch64")
    assert len(defined) > 300
    assert [name for name, number in defined if ours.get(name) not in (int(number), None)] == []
