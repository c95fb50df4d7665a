"""The C library, loaded once, and the way its errors become OSError."""

from __future__ import annotations

import ctypes
import os
from typing import NoReturn

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def oserror(call: str, path: str | None = None) -> NoReturn:
    """Raise the OSError of the last failed call, with the call's name as its note."""
    errno = ctypes.get_errno()
    error = OSError(errno, os.strerror(errno), path)
    error.add_note(call)
    raise error


def checked(result: int, call: str, path: str | None = None) -> int:
    """Return the result of a call, or raise its OSError."""
    if result < 0:
        oserror(call, path)
    return result
