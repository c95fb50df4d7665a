"""File calls that Python's os module lacks. Source: openat2(2), close_range(2)."""

from __future__ import annotations

import ctypes
import os
from typing import Final

from dockmagic.linux.libc import libc, oserror

RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10

_SYS_OPENAT2: Final = ctypes.c_long(437)  # the same on every architecture


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_HOW_SIZE: Final = ctypes.c_size_t(ctypes.sizeof(_OpenHow))


def openat2(dirfd: int, path: str | bytes, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Descriptor of `path` below `dirfd`, close-on-exec; `resolve` restricts the walk (RESOLVE_*)."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    result: int = libc.syscall(_SYS_OPENAT2, ctypes.c_int(dirfd), os.fsencode(path), ctypes.byref(how), _HOW_SIZE)
    return result if result >= 0 else oserror("openat2", os.fsdecode(path))
