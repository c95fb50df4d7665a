"""Filters of system calls: their instructions, and the call that puts one in force.

A filter is classic BPF that is run on a `struct seccomp_data`. Source: seccomp(2), linux/filter.h, linux/seccomp.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from dockmagic.linux.libc import checked, libc
from dockmagic.linux.syscalls import numbers

RET_KILL_PROCESS: Final = 0x8000_0000
RET_KILL_THREAD: Final = 0
RET_TRAP: Final = 0x0003_0000
RET_ERRNO: Final = 0x0005_0000  # the low 16 bits are the errno
RET_TRACE: Final = 0x7FF0_0000  # the low 16 bits are for the tracer
RET_LOG: Final = 0x7FFC_0000
RET_ALLOW: Final = 0x7FFF_0000

LD: Final = 0x20  # A ← the 32-bit word at offset k
JEQ: Final = 0x15  # jumps count the instructions to skip: jt where A == k, else jf
JGE: Final = 0x35
JSET: Final = 0x45
JA: Final = 0x05
AND: Final = 0x54  # A ← A & k
RET: Final = 0x06

NUMBER: Final = 0  # offsets in struct seccomp_data
ARCHITECTURE: Final = 4
AUDIT_ARCH: Final = {"x86_64": 0xC000_003E, "i386": 0x4000_0003, "aarch64": 0xC000_00B7, "arm": 0x4000_0028}

MAX_INSTRUCTIONS: Final = 4096
_SET_MODE_FILTER: Final = 1
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2


class Instruction(NamedTuple):
    """A `struct sock_filter`."""

    code: int
    jt: int
    jf: int
    k: int


class _Program(ctypes.Structure):
    """A `struct sock_fprog`."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def argument(index: int) -> int:
    """Offset of the low 32 bits of a system call's argument, on the little-endian machines that we know."""
    return 16 + 8 * index


def assemble(instructions: Iterable[Instruction]) -> bytes:
    """The instructions as the kernel reads them, 8 bytes each."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def set_filter(program: bytes, flags: int = 0) -> None:
    """Put a filter in force for the calling thread and all that it starts; there is no way back.

    `flags` are those of SECCOMP_SET_MODE_FILTER.

    Raises OSError: EACCES without no_new_privs and CAP_SYS_ADMIN, EINVAL for a program that the kernel doesn't take.
    """
    if len(program) % 8 or not 0 < len(program) <= 8 * MAX_INSTRUCTIONS:
        raise OSError(
            errno.EINVAL, f"a filter has 1 to {MAX_INSTRUCTIONS} instructions of 8 bytes, not {len(program)} bytes"
        )
    argument_block = _Program(len(program) // 8, program)
    call = numbers(os.uname().machine).get("seccomp", -1)
    result = libc.syscall(
        ctypes.c_long(call), ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(flags), ctypes.byref(argument_block)
    )
    if result < 0 and not flags and ctypes.get_errno() == errno.ENOSYS:  # before Linux 3.17
        result = libc.prctl(
            _PR_SET_SECCOMP,
            ctypes.c_ulong(_SECCOMP_MODE_FILTER),
            ctypes.byref(argument_block),
            *[ctypes.c_ulong(0)] * 2,
        )
    checked(result, "seccomp")
