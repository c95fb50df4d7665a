"""The directory of a container: made, and protected against collection until its row is there."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path

from dockmagic.oci.codec import encode
from dockmagic.runtime import leftovers
from dockmagic.runtime.request import Record


def make(directory: Path, like: os.stat_result, once: bool) -> ExitStack:
    """Make a container's directory; the lock that protects it."""
    lock = leftovers.claim(directory)
    try:
        if once:
            (directory / "state.json").write_text(json.dumps(encode(Record())))
        (directory / "work").mkdir()
        upper = directory / "upper"
        upper.mkdir()
        os.chown(upper, like.st_uid, like.st_gid)
        upper.chmod(like.st_mode & 0o7777)
    except BaseException:
        lock.close()
        raise
    return lock
