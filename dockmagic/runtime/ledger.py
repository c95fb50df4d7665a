"""What a monitor writes down of its container: the record of how it is, and events in the journal."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from typing import Any

from dockmagic.journal import Journal
from dockmagic.oci.codec import encode
from dockmagic.runtime.request import Record, StartRequest


class Ledger:
    """The record of one container, kept in memory and on disk, and the events that tell of it."""

    def __init__(self, asked: StartRequest, record: Record) -> None:
        self.record = record
        self._path = asked.state
        self._container_id = asked.container_id
        self._journal = Journal(asked.journal)
        self._attributes = dict(asked.attributes)
        self._volumes = asked.mounted

    def change(self, **changes: Any) -> None:
        """Have other values in the record; nothing is written yet."""
        self.record = replace(self.record, **changes)

    def write(self) -> None:
        """Write the record down, so that no reader ever sees half of it."""
        if not self._path:
            return
        temporary = f"{self._path}.new"
        with contextlib.suppress(OSError):  # a full disk must not end a container
            with open(temporary, "w") as file:
                json.dump(encode(self.record), file)
            os.rename(temporary, self._path)

    def note(self, action: str, **more: object) -> None:
        """Write an event of the container down."""
        attributes = {**self._attributes, **{name: str(value) for name, value in more.items()}}
        self._journal.write("container", action, self._container_id, attributes)

    def note_mounts(self) -> None:
        """Write down that its volumes are mounted."""
        for name, facts in self._volumes.items():
            self._journal.write("volume", "mount", name, {"container": self._container_id, **facts})

    def note_unmounts(self) -> None:
        """Write down that they aren't any more."""
        for name, facts in self._volumes.items():
            about = {"container": self._container_id, "driver": facts["driver"]}
            self._journal.write("volume", "unmount", name, about)

    def rename(self, name: str) -> None:
        """Call the container by another name in its events from now on."""
        self._attributes["name"] = name
