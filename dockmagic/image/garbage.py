"""Taking away the layers and blobs that no image, container or build cache names.

Whatever a crash leaves half done is found again by the next run: a row that nothing uses, or a file without a row. What
the build cache knows of a layer that a loss of power kept from the disk goes, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dockmagic.database import Database
from dockmagic.image.workspace import store_errors
from dockmagic.linux.sync import boot_id
from dockmagic.oci.digest import Digest

_FORGET_LAYERS_OF_LOST_IMAGES = """
    DELETE FROM image_layers
    WHERE image_id NOT IN (SELECT id FROM images) AND image_id NOT IN (SELECT image_id FROM containers)
    AND image_id NOT IN (SELECT image_id FROM image_users)
"""
_FORGET_UNWRITTEN_LAYERS = """
    DELETE FROM build_cache WHERE chain_id IN (SELECT chain_id FROM layers WHERE boot_id NOT IN ('', ?))
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
_FORGET_WHERE_LOST_BLOBS_ARE = f"DELETE FROM blob_repositories WHERE digest NOT IN ({_BLOBS})"


def collect(database: Database, root: Path, trash: Path) -> list[Digest]:
    """Chain IDs of the layers taken away: their rows are gone, and their files are in `trash`, as are all stray ones.

    Inside the caller's transaction, who also keeps everybody else off the store's content.
    """
    with database.transaction() as transaction:
        transaction.execute(_FORGET_LAYERS_OF_LOST_IMAGES)
        transaction.execute(_FORGET_UNWRITTEN_LAYERS, (boot_id(),))
        lost = [Digest(row["chain_id"]) for row in transaction.execute(_UNUSED_LAYERS).fetchall()]
        layers = {Digest(row["chain_id"]).hex for row in transaction.execute("SELECT chain_id FROM layers")}
        transaction.execute(_FORGET_WHERE_LOST_BLOBS_ARE)
        blobs = {row["digest"] for row in transaction.execute(_BLOBS)}
    unnamed = [path for path in _files(root / "layers") if path.name not in layers]
    unnamed += [path for path in _blobs(root / "blobs") if f"{path.parent.name}:{path.name}" not in blobs]
    with store_errors("clean the store"):
        for number, path in enumerate(unnamed):
            path.rename(trash / str(number))
    return lost


def _blobs(directory: Path) -> Iterator[Path]:
    """All blobs, of any algorithm."""
    for algorithm in _files(directory):
        yield from _files(algorithm)


def _files(directory: Path) -> list[Path]:
    """What is in a directory, nothing where there is none."""
    return list(directory.iterdir()) if directory.is_dir() else []
