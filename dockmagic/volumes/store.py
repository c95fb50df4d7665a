"""The volumes of a state root: a row each, a directory each, and the containers that use them.

    volumes/<name>/_data        what containers see
    volumes/<name>/_copy        an image's files on their way into an empty volume (volumes.populate)

A container counts as a user while its directory is there, so that one whose monitor removed it needs no other sign.
Sources: docker volume's reference; Engine API, "Volume".
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from dockmagic import journal
from dockmagic.database import Database
from dockmagic.errors import Conflict, NotFound
from dockmagic.image import upper
from dockmagic.image.workspace import store_errors
from dockmagic.journal import Journal
from dockmagic.oci.volumes import LOCAL
from dockmagic.trees import remove_tree
from dockmagic.volumes.local import NAME, check_name, check_options

ANONYMOUS: Final = "com.docker.volume.anonymous"  # the label of a volume that nobody named
_UNUSED_BY_THE_DEAD: Final = "SELECT volume, container_id, remove FROM volume_users"


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume; `mountpoint` is its directory on the host, `options` are those of its driver."""

    name: str
    created_ns: int
    labels: Mapping[str, str]
    options: Mapping[str, str]
    mountpoint: Path

    @property
    def anonymous(self) -> bool:
        """Whether it was made for a container that gave no name."""
        return ANONYMOUS in self.labels

    def __str__(self) -> str:
        """Its name."""
        return self.name

    def inspect(self) -> dict[str, Any]:
        """The volume in the JSON shape of Docker."""
        created = datetime.fromtimestamp(self.created_ns // 10**9).astimezone().isoformat()
        return {
            "CreatedAt": created.replace("+00:00", "Z"),
            "Driver": LOCAL,
            "Labels": dict(self.labels) or None,
            "Mountpoint": str(self.mountpoint),
            "Name": self.name,
            "Options": dict(self.options) or None,
            "Scope": "local",
        }


class VolumeStore:
    """The volumes of a state root; safe to use from several processes."""

    def __init__(self, root: Path, database: Database) -> None:
        self._root = root / "volumes"
        self._containers = root / "containers"
        self._database = database
        self._journal = Journal(root / journal.NAME)

    def all(self) -> list[Volume]:
        """All volumes, by name."""
        return [self._volume(row) for row in self._database.query("SELECT * FROM volumes ORDER BY name")]

    def find(self, name: str) -> Volume:
        """The volume of this name; raises NotFound."""
        rows = self._database.query("SELECT * FROM volumes WHERE name = ?", (name,))
        if not rows:
            raise NotFound("volume", name, "volume ls lists those there are")
        return self._volume(rows[0])

    def ensure(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> Volume:
        """The volume of this name, made with these labels and options where there is none; one without if that is "".

        Raises InvalidOption for a name or an option that can't be, StoreError.
        """
        made_up = {} if name else {ANONYMOUS: ""}
        name = name or secrets.token_hex(32)
        check_name(name)
        check_options(options)
        with store_errors(f"make the volume {name}"), self._database.transaction() as connection:
            facts = (name, time.time_ns(), json.dumps({**labels, **made_up}), json.dumps(dict(options)))
            made = connection.execute("INSERT OR IGNORE INTO volumes VALUES (?, ?, ?, ?)", facts).rowcount > 0
            volume = self.find(name)
            volume.mountpoint.mkdir(parents=True, exist_ok=True)
        if made:
            self._journal.write("volume", "create", name, {"driver": LOCAL})
        return volume

    def use(self, volume: Volume, container_id: str, *, remove: bool) -> None:
        """The container uses the volume from now on; `remove` tells that it takes unnamed ones with it when it ends."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO volume_users VALUES (?, ?, ?)", (volume.name, container_id, remove)
            )

    def users(self) -> dict[str, tuple[str, ...]]:
        """IDs of the containers that use each volume, by its name."""
        found: dict[str, tuple[str, ...]] = {}
        for row in self._database.query("SELECT * FROM volume_users"):
            if (self._containers / row["container_id"]).exists():
                found[row["volume"]] = (*found.get(row["volume"], ()), row["container_id"])
        return found

    def remove(self, name: str) -> Volume:
        """Remove the volume with all that is in it; what it was. Raises NotFound, Conflict where it is used."""
        aside = self._root / f".{secrets.token_hex(8)}"
        with self._database.transaction() as connection:
            volume = self.find(name)
            users = self.users().get(name, ())
            if users:
                raise Conflict("volume", name, f"volume is in use - [{', '.join(users)}]")
            connection.execute("DELETE FROM volumes WHERE name = ?", (name,))
            with suppress(FileNotFoundError):
                (self._root / name).rename(aside)  # in the transaction: no new volume of this name gets the old data
        _discard(aside)
        self._journal.write("volume", "destroy", name, {"driver": LOCAL})
        return volume

    def release(self, container_id: str, *, remove: bool) -> None:
        """The container uses no volume any more; with `remove` those go that nobody named and nobody else uses."""
        with self._database.transaction() as connection:
            found = connection.execute("SELECT volume FROM volume_users WHERE container_id = ?", (container_id,))
            names = [row["volume"] for row in found.fetchall()]
            connection.execute("DELETE FROM volume_users WHERE container_id = ?", (container_id,))
        for name in names if remove else ():
            with suppress(NotFound, Conflict):
                if self.find(name).anonymous:
                    self.remove(name)

    def collect(self) -> None:
        """Release what containers used that are gone, and remove what was left of removed volumes."""
        users = self._database.query(_UNUSED_BY_THE_DEAD)
        gone = {row["container_id"]: bool(row["remove"]) for row in users}
        for container_id, remove in gone.items():
            if not (self._containers / container_id).exists():
                self.release(container_id, remove=remove)
        for path in self._root.glob(".*"):
            _discard(path)

    def size_bytes(self, volume: Volume) -> int:
        """Bytes of all files in the volume; 0 where the disk isn't this volume's own."""
        with suppress(OSError):
            return 0 if volume.options else upper.size(volume.mountpoint)
        return 0

    def stray(self) -> list[str]:
        """Names of directories that no volume has: their rows were lost."""
        known = {volume.name for volume in self.all()}
        found = sorted(path.name for path in self._root.iterdir()) if self._root.is_dir() else []
        return [name for name in found if name not in known and NAME.fullmatch(name)]

    def _volume(self, row: sqlite3.Row) -> Volume:
        name, labels, options = row["name"], json.loads(row["labels"]), json.loads(row["options"])
        return Volume(name, row["created_ns"], labels, options, self._root / name / "_data")


def _discard(directory: Path) -> None:
    """Remove a directory that others may be removing, too; what can't be removed is collected later."""
    with suppress(OSError):
        remove_tree(directory)
