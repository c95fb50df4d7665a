"""Programs of the extended BPF machine, loaded and attached to a control group. Source: bpf(2), linux/bpf.h."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from dockmagic.linux.libc import checked, libc
from dockmagic.linux.syscalls import numbers

LOAD_WORD: Final = 0x61  # dst ← the 32 bits at src + offset
MOVE: Final = 0xBF  # dst ← src
MOVE_NUMBER: Final = 0xB7  # dst ← immediate
AND_NUMBER: Final = 0x54  # the 32-bit kind
SHIFT_RIGHT: Final = 0x74
JUMP_EQUAL: Final = 0x15  # skip `offset` instructions where dst == immediate
JUMP_UNEQUAL: Final = 0x55
EXIT: Final = 0x95  # with the result in register 0

PROG_TYPE_CGROUP_DEVICE: Final = 15
CGROUP_DEVICE: Final = 6

_PROG_LOAD: Final = 5
_PROG_ATTACH: Final = 8
_PROG_DETACH: Final = 9
_PROG_GET_FD_BY_ID: Final = 13
_PROG_QUERY: Final = 16
_F_ALLOW_MULTI: Final = 2
_MAX_ATTACHED: Final = 64  # the kernel's own limit
_ATTRIBUTES_SIZE: Final = (
    256  # bytes; the kernel writes answers as far into its union as it knows, and wants zeros beyond
)


class Instruction(NamedTuple):
    """A `struct bpf_insn`; registers 0 to 10, of which 1 has the context at the start."""

    code: int
    dst: int = 0
    src: int = 0
    offset: int = 0
    immediate: int = 0


def assemble(instructions: Iterable[Instruction]) -> bytes:
    """The instructions as the kernel reads them, 8 bytes each."""
    return b"".join(
        struct.pack("=BBhi", code, dst | src << 4, offset, immediate)
        for code, dst, src, offset, immediate in instructions
    )


def prog_load(prog_type: int, program: bytes) -> int:
    """Descriptor of a program that the kernel has verified, close-on-exec and the caller's to close."""
    code, licence = ctypes.create_string_buffer(program, len(program)), ctypes.create_string_buffer(b"Apache-2.0")
    addresses = ctypes.addressof(code), ctypes.addressof(licence)
    return _bpf(_PROG_LOAD, struct.pack("=IIQQ", prog_type, len(program) // 8, *addresses))


def prog_attach(target_fd: int, prog_fd: int, attach_type: int) -> None:
    """Add a program to those of a cgroup2 directory; each must agree, and those of groups above and below too."""
    _bpf(_PROG_ATTACH, struct.pack("=IIII", target_fd, prog_fd, attach_type, _F_ALLOW_MULTI))


def prog_detach(target_fd: int, prog_fd: int, attach_type: int) -> None:
    """Take a program away from a cgroup2 directory."""
    _bpf(_PROG_DETACH, struct.pack("=III", target_fd, prog_fd, attach_type))


def prog_query(target_fd: int, attach_type: int) -> list[int]:
    """Ids of the programs that are attached to the cgroup2 directory itself."""
    found = (ctypes.c_uint32 * _MAX_ATTACHED)()
    attributes = struct.pack("=IIIIQI", target_fd, attach_type, 0, 0, ctypes.addressof(found), len(found))
    block = ctypes.create_string_buffer(attributes, _ATTRIBUTES_SIZE)
    _call(_PROG_QUERY, block)
    (count,) = struct.unpack_from("=I", block, 24)
    return list(found[:count])


def prog_get_fd_by_id(prog_id: int) -> int:
    """Descriptor of a loaded program, close-on-exec and the caller's to close."""
    return _bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", prog_id, 0, 0))


def replace(directory_fd: int, prog_type: int, attach_type: int, program: bytes) -> None:
    """Make the program the only one of its kind on a cgroup2 directory; until it is, the old ones hold too."""
    before = prog_query(directory_fd, attach_type)
    prog_fd = prog_load(prog_type, program)
    try:
        prog_attach(directory_fd, prog_fd, attach_type)
    finally:
        os.close(prog_fd)
    for prog_id in before:
        old_fd = prog_get_fd_by_id(prog_id)
        try:
            prog_detach(directory_fd, old_fd, attach_type)
        finally:
            os.close(old_fd)


def _bpf(command: int, attributes: bytes) -> int:
    """bpf(2) with attributes that the kernel only reads."""
    return _call(command, ctypes.create_string_buffer(attributes, _ATTRIBUTES_SIZE))


def _call(command: int, block: ctypes.Array[ctypes.c_char]) -> int:
    call = numbers(os.uname().machine).get("bpf", -1)
    result = libc.syscall(ctypes.c_long(call), ctypes.c_int(command), ctypes.byref(block), ctypes.c_uint(len(block)))
    return checked(result, "bpf")
