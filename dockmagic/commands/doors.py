"""What every door reads of its environment before the engine can be made."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dockmagic.commands.values import size_bytes
from dockmagic.errors import InvalidOption

if TYPE_CHECKING:
    from dockmagic.engine import Engine


def open_engine(environ: Mapping[str, str]) -> Engine:
    """An engine on `$DOCKMAGIC_ROOT` (its default root where that isn't set).

    `$DOCKMAGIC_BUILD_CACHE_LIMIT` is the most that its build cache keeps, `$DOCKMAGIC_UNPACK_LIMITS` what an archive
    may hold. Raises InvalidOption where they can't be read.
    """
    from dockmagic.engine import Engine
    from dockmagic.image.limits import VARIABLE, parse_limits

    root = environ.get("DOCKMAGIC_ROOT")
    return Engine(
        Path(root) if root else None,
        limits=parse_limits(environ.get(VARIABLE, "")),
        build_cache_limit=_cache_limit(environ.get("DOCKMAGIC_BUILD_CACHE_LIMIT", "")),
    )


def _cache_limit(text: str) -> int | None:
    """Bytes of "10GB"; None for the default."""
    if text == "unlimited":
        return sys.maxsize
    try:
        return size_bytes(text) if text else None
    except InvalidOption as error:
        raise InvalidOption(f"DOCKMAGIC_BUILD_CACHE_LIMIT: {error}, or unlimited") from None
