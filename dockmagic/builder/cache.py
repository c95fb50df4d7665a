"""The build cache: which layer an action has made before. Kept in the state root, shared by all who build there.

A key stands for everything that the action reads, so a layer found by it is the one that the action would make. It is
only trusted while the layer and its blob are there. Source: Dockerfile reference, "Impact on build caching".
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Final

from dockmagic.builder.history import state_key
from dockmagic.database import Database
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.image_json import dump_image_config, with_times

_NOTED_EVERY_NS: Final = 60_000_000_000  # a look-up that writes takes as long as a whole cached step
_RECORD = """
    INSERT INTO build_cache (key, parent_key, chain_id, diff_id, description, created_ns, used_ns)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
    ON CONFLICT (key) DO UPDATE SET chain_id = ?3, diff_id = ?4, description = ?5, created_ns = ?6, used_ns = ?6
"""
_RECORD_CONFIG = """
    INSERT OR REPLACE INTO build_cache (key, config, description, created_ns, used_ns) VALUES (?1, ?2, ?3, ?4, ?4)
"""


@dataclass(frozen=True, slots=True)
class Download:
    """What a URL gave: the sha256 of the content, in hexadecimal, and the headers that tell whether it is still so."""

    sha256: str
    etag: str = ""
    last_modified: str = ""


class BuildCache:
    """The table `build_cache`; `parent_key` in it is the chain ID that the layer lies on."""

    def __init__(self, database: Database, snapshots: Snapshots) -> None:
        self._database = database
        self._snapshots = snapshots

    def find(self, key: str, parent: Digest | None) -> Layer | None:
        """The layer that this key stands for, on top of `parent`; None where there is none (any more)."""
        layer = self._find(key)
        return layer if layer is not None and layer.parent == parent else None

    def find_rebased(self, key: str, parent: Digest | None, description: str) -> Layer | None:
        """As `find`, for a layer that may lie on any other: on top of `parent` it is made of the same archive."""
        layer = self._find(key)
        if layer is None or layer.parent == parent:
            return layer
        rebased = self._snapshots.unpack(parent, layer.descriptor, layer.diff_id)
        self.record(key, rebased, description)
        return rebased

    def _find(self, key: str) -> Layer | None:
        """The layer last recorded under this key, whatever it lies on."""
        rows = self._database.query("SELECT chain_id, used_ns FROM build_cache WHERE key = ?", (key,))
        layer = self._snapshots.get_whole(Digest(rows[0]["chain_id"])) if rows else None
        if layer is not None:
            self._note_use(key, rows[0]["used_ns"])
        return layer

    def _note_use(self, key: str, noted_ns: int) -> None:
        """Note that the row is of use now, unless that was noted a short time ago."""
        now_ns = time.time_ns()
        if now_ns - noted_ns > _NOTED_EVERY_NS:
            with self._database.transaction() as transaction:
                transaction.execute("UPDATE build_cache SET used_ns = ? WHERE key = ?", (now_ns, key))

    def record(self, key: str, layer: Layer, description: str) -> None:
        """Let later builds find the layer by this key; the newest one counts."""
        values = (key, layer.parent, layer.chain_id, layer.diff_id, description, time.time_ns())
        with self._database.transaction() as transaction:
            transaction.execute(_RECORD, values)

    def find_download(self, url: str) -> Download | None:
        """What the URL gave the last time; None where it isn't known."""
        rows = self._database.query("SELECT config FROM build_cache WHERE key = ?", (_download_key(url),))
        return Download(**json.loads(rows[0]["config"])) if rows else None

    def record_download(self, url: str, download: Download) -> None:
        """Let later builds ask whether the URL gives something else by now."""
        values = (_download_key(url), json.dumps(asdict(download)), "download", time.time_ns())
        with self._database.transaction() as transaction:
            transaction.execute(_RECORD_CONFIG, values)

    def find_image(self, image: ImageConfig) -> ImageConfig | None:
        """The config recorded before that differs from this one at most in its times; None where there is none."""
        key = state_key(image)
        rows = self._database.query("SELECT config, used_ns FROM build_cache WHERE key = ?", (key,))
        if not rows:
            return None
        self._note_use(key, rows[0]["used_ns"])
        return with_times(image, rows[0]["config"])

    def record_image(self, image: ImageConfig) -> None:
        """Let later builds with the same result, times apart, be this image."""
        values = (state_key(image), dump_image_config(image).decode(), "image", time.time_ns())
        with self._database.transaction() as transaction:
            transaction.execute(_RECORD_CONFIG, values)


def _download_key(url: str) -> str:
    """Key of what a URL gave."""
    return Digest.of(f"download {url}".encode("utf-8", "surrogateescape"))
