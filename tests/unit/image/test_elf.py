from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

import pytest

from dockmagic.image.elf import is_static_native

PT_LOAD, PT_INTERP = 1, 3


def executable(path: Path, *types: int, machine: bytes | None = None, wide: bool | None = None) -> Path:
    """A file with an ELF header and program headers of these types."""
    own = Path("/proc/self/exe").read_bytes()[:20]
    machine = own[18:20] if machine is None else machine
    wide = own[4] == 2 if wide is None else wide
    order = "<" if own[5] == 1 else ">"
    identity = b"\x7fELF" + bytes([2 if wide else 1]) + own[5:6] + bytes(10)
    head = identity + struct.pack(f"{order}H", 2) + machine
    size = 56 if wide else 32
    if wide:
        head += struct.pack(f"{order}IQQQIHHHHHH", 1, 0, 64, 0, 0, 64, size, len(types), 0, 0, 0)
    else:
        head += struct.pack(f"{order}IIIIIHHHHHH", 1, 0, 52, 0, 0, 52, size, len(types), 0, 0, 0)
    path.write_bytes(head + b"".join(struct.pack(f"{order}I", kind).ljust(size, b"\0") for kind in types))
    path.chmod(0o755)
    return path


def test_python_itself_is_dynamic() -> None:
    assert not is_static_native(Path(sys.executable).resolve())


def test_a_static_busybox_is_static() -> None:
    busybox = shutil.which("busybox")
    assert busybox is not None
    assert is_static_native(Path(busybox))


def test_headers_decide(tmp_path: Path) -> None:
    assert is_static_native(executable(tmp_path / "static", PT_LOAD, PT_LOAD))
    assert not is_static_native(executable(tmp_path / "dynamic", PT_LOAD, PT_INTERP))
    assert not is_static_native(executable(tmp_path / "foreign", PT_LOAD, machine=b"\xff\xfe"))
    assert not is_static_native(executable(tmp_path / "other", PT_LOAD, wide=struct.calcsize("P") != 8))


def test_a_file_that_may_not_be_executed_does_not_count(tmp_path: Path) -> None:
    path = executable(tmp_path / "static", PT_LOAD)
    path.chmod(0o644)
    assert not is_static_native(path)


@pytest.mark.parametrize("keep", [0, 3, 20, 63, 64, 100])
def test_a_file_cut_off_does_not_count(tmp_path: Path, keep: int) -> None:
    path = executable(tmp_path / "static", PT_LOAD, PT_LOAD)
    path.write_bytes(path.read_bytes()[:keep])
    assert not is_static_native(path)


def test_what_is_no_file_does_not_count(tmp_path: Path) -> None:
    assert not is_static_native(tmp_path)
    assert not is_static_native(tmp_path / "absent")
