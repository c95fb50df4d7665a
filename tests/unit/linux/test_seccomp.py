"""Instructions and the errors of setting a filter; that a filter holds is tried in the integration tests."""

from __future__ import annotations

import errno

import pytest

from dockmagic.linux.seccomp import JEQ, LD, RET, RET_ALLOW, Instruction, argument, assemble, set_filter


def test_an_instruction_is_eight_bytes_in_the_kernel_s_order() -> None:
    assert assemble([Instruction(JEQ, 1, 2, 0x0403_0201)]) == bytes([0x15, 0, 1, 2, 1, 2, 3, 4])


def test_offsets_of_arguments() -> None:
    assert [argument(index) for index in range(6)] == [16, 24, 32, 40, 48, 56]


@pytest.mark.parametrize("program", [b"", b"1234567", assemble([Instruction(RET, 0, 0, RET_ALLOW)] * 4097)])
def test_a_program_of_no_possible_length(program: bytes) -> None:
    with pytest.raises(OSError, match="1 to 4096 instructions") as caught:
        set_filter(program)
    assert caught.value.errno == errno.EINVAL


def test_the_kernel_refuses_a_program_that_does_not_return() -> None:
    with pytest.raises(OSError, match=r"Invalid argument|Permission denied") as caught:
        set_filter(assemble([Instruction(LD, 0, 0, 0)]))
    assert caught.value.__notes__ == ["seccomp"]
