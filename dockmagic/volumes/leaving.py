"""The end of a container that removes itself, as its monitor's last act: the volumes that it alone had go with it.

A program of its own, since a monitor has no database; it imports the standard library only.
"""

from __future__ import annotations

from pathlib import Path

from dockmagic.database import Database
from dockmagic.volumes.store import VolumeStore


def main(state_root: str) -> None:
    """Remove the unnamed volumes of containers that have removed themselves."""
    root = Path(state_root)
    VolumeStore(root, Database(root / "state.db")).collect()
