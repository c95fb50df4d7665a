"""A small interpreter of the kernel's classic BPF, for filters of system calls."""

from __future__ import annotations

import struct

from dockmagic.linux import seccomp as bpf

_JGT = 0x25  # of other makers' filters


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What the filter returns for a call; fails on a jump out of the program or an unknown instruction."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=iIQ6Q", number - (1 << 32) if number >= 1 << 31 else number, architecture, 0, *padded)
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator = counter = 0
    while True:
        operation, jump_true, jump_false, k = code[counter]
        counter += 1
        if operation == bpf.LD:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif operation == bpf.JA:
            counter += k
        elif operation == bpf.AND:
            accumulator &= k
        elif operation == bpf.RET:
            return int(k)
        else:
            true = {
                bpf.JEQ: accumulator == k,
                bpf.JGE: accumulator >= k,
                _JGT: accumulator > k,
                bpf.JSET: bool(accumulator & k),
            }[operation]
            counter += jump_true if true else jump_false
