"""Paths below a root, made where they are missing: no link of an image, or of /proc's kind, leads out of it.

Source: openat2(2).
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Final

from dockmagic.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_INSIDE: Final = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS


def reach(root: int, path: str, *, directory: bool) -> int:
    """Descriptor (O_PATH) of a path below the directory `root`, made as a directory or an empty file; raises OSError.

    A link in the last place is followed, unless it leads to nothing.
    """
    with contextlib.suppress(FileNotFoundError):
        return openat2(root, path, os.O_PATH, resolve=_INSIDE)
    above, _, name = path.rstrip("/").rpartition("/")
    parent = reach(root, above or "/", directory=True)
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o755, dir_fd=parent))
    except FileExistsError as error:  # a link that leads nowhere
        raise OSError(errno.ENOENT, "a link leads to nothing", path) from error
    finally:
        os.close(parent)
    return openat2(root, path, os.O_PATH, resolve=_INSIDE)
