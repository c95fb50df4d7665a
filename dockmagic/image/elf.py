"""What an executable needs to run, from its ELF headers. Source: elf(5)."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, Final

_MAGIC: Final = b"\x7fELF"
_PT_INTERP: Final = 3
_CLASS_64: Final = 2
_LITTLE_ENDIAN: Final = 1
_PROGRAM_HEADER_LIMIT: Final = 1024


def is_static_native(path: Path) -> bool:
    """Whether `path` is an executable of this machine's kind that asks for no dynamic loader (no PT_INTERP)."""
    try:
        with path.open("rb") as file, Path("/proc/self/exe").open("rb") as own:
            mine, header = own.read(20), file.read(64)
            native = header[:4] == _MAGIC and _kind(header) == _kind(mine)
            return native and os.access(path, os.X_OK) and not _has_interpreter(file, header)
    except (OSError, struct.error):
        return False


def _kind(header: bytes) -> tuple[bytes, bytes]:
    """Class and byte order, and machine."""
    return header[4:6], header[18:20]


def _has_interpreter(file: BinaryIO, header: bytes) -> bool:
    """Whether one of the program headers is PT_INTERP; raises struct.error for a file that is cut off."""
    order = "<" if header[5] == _LITTLE_ENDIAN else ">"
    wide = header[4] == _CLASS_64
    offset = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", header, 32 if wide else 28)[0]
    size, count = struct.unpack_from(f"{order}HH", header, 54 if wide else 42)
    file.seek(offset)
    table = file.read(size * min(count, _PROGRAM_HEADER_LIMIT))
    types = [struct.unpack_from(f"{order}I", table, index * size)[0] for index in range(count)]
    return _PT_INTERP in types
