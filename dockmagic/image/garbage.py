"""Taking away the layers and blobs that no image, container or build cache names.

The rows go first, in one transaction; then every file that no row names is thrown away. So a crash in between leaves
files only, and the next run finds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dockmagic.database import Database
from dockmagic.image.workspace import store_errors
from dockmagic.oci.digest import Digest

_FORGET_LAYERS_OF_LOST_IMAGES = """
    DELETE FROM image_layers
    WHERE image_id NOT IN (SELECT id FROM images) AND image_id NOT IN (SELECT image_id FROM containers)
"""
_UNUSED_LAYERS = """
    WITH RECURSIVE used(chain_id) AS (
        SELECT chain_id FROM image_layers
        UNION SELECT chain_id FROM build_cache WHERE chain_id IS NOT NULL
        UNION SELECT parent FROM layers JOIN used USING (chain_id) WHERE parent IS NOT NULL
    )
    DELETE FROM layers WHERE chain_id NOT IN (SELECT chain_id FROM used) RETURNING chain_id
"""
_BLOBS = """
    SELECT id AS digest FROM images UNION SELECT manifest_digest FROM images
    UNION SELECT digest FROM image_layers UNION SELECT digest FROM layers
"""


def collect(database: Database, root: Path, trash: Path) -> list[Digest]:
    """Chain IDs of the layers taken away. The caller keeps everybody else off the store, and removes `trash`."""
    with database.transaction() as transaction:
        transaction.execute(_FORGET_LAYERS_OF_LOST_IMAGES)
        lost = [Digest(row["chain_id"]) for row in transaction.execute(_UNUSED_LAYERS).fetchall()]
    layers = {Digest(row["chain_id"]).hex for row in database.query("SELECT chain_id FROM layers")}
    blobs = {row["digest"] for row in database.query(_BLOBS)}
    with store_errors("clean the store"):
        unnamed = [path for path in _files(root / "layers") if path.name not in layers]
        unnamed += [path for path in _blobs(root / "blobs") if f"{path.parent.name}:{path.name}" not in blobs]
        for number, path in enumerate(unnamed):
            path.rename(trash / str(number))
    return lost


def _blobs(directory: Path) -> Iterator[Path]:
    for algorithm in _files(directory):
        yield from _files(algorithm)


def _files(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.exists() else []
