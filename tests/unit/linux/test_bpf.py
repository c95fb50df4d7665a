"""Instructions of the extended machine; that the kernel takes them is tried in the integration tests."""

from __future__ import annotations

import pytest

from dockmagic.linux import bpf


def test_an_instruction_is_eight_bytes_in_the_kernel_s_order() -> None:
    code = bpf.assemble([bpf.Instruction(bpf.LOAD_WORD, 4, 1, 8), bpf.Instruction(bpf.JUMP_EQUAL, 2, 0, -3, -1)])
    assert code == bytes([0x61, 0x14, 8, 0, 0, 0, 0, 0, 0x15, 0x02, 0xFD, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])


@pytest.mark.parametrize("program", [b"", bpf.assemble([bpf.Instruction(bpf.MOVE_NUMBER, 0)])])
def test_a_refusal_is_an_oserror_with_the_call_s_name(program: bytes) -> None:
    with pytest.raises(OSError, match=r"Argument list too long|Invalid argument|Operation not permitted") as caught:
        bpf.prog_load(bpf.PROG_TYPE_CGROUP_DEVICE, program)
    assert caught.value.__notes__ == ["bpf"]
