"""Times of files that don't depend on when they were made. Source: reproducible-builds.org, SOURCE_DATE_EPOCH."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dockmagic.builder.plan import EPOCH_ARG
from dockmagic.errors import InvalidOption

_LAST_S: Final = 253_402_300_799  # of the year 9999


def source_date_epoch(args: Mapping[str, str]) -> int | None:
    """The time that the build argument names, s since 1970; None without it. Raises InvalidOption for no such time."""
    text = args.get(EPOCH_ARG, "")
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or int(text) > _LAST_S:
        raise InvalidOption(f"{EPOCH_ARG}={text}: expected whole seconds since 1970, such as 1700000000")
    return int(text)


def limit_times(directory: Path, latest_s: int) -> None:
    """Make nothing below the directory, and not itself, younger than `latest_s` (s since 1970)."""
    for below, directories, files in os.walk(directory, topdown=False):
        for name in (*files, *directories):
            _limit(Path(below, name), latest_s * 1_000_000_000)
    _limit(directory, latest_s * 1_000_000_000)


def _limit(path: Path, latest_ns: int) -> None:
    if path.lstat().st_mtime_ns > latest_ns:
        os.utime(path, ns=(latest_ns, latest_ns), follow_symlinks=False)
