"""What every door reads of its environment before the engine can be made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dockmagic.engine import Engine


def open_engine(environ: Mapping[str, str]) -> Engine:
    """An engine on `$DOCKMAGIC_ROOT` (its default root where that isn't set), pulling from `$DOCKMAGIC_MIRROR`.

    Raises InvalidOption for limits in `$DOCKMAGIC_UNPACK_LIMITS` that can't be read.
    """
    from dockmagic.engine import Engine
    from dockmagic.image.limits import VARIABLE, parse_limits

    root = environ.get("DOCKMAGIC_ROOT")
    limits = parse_limits(environ.get(VARIABLE, ""))
    return Engine(Path(root) if root else None, mirror=environ.get("DOCKMAGIC_MIRROR") or None, limits=limits)
