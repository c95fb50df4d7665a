"""Untagging and deleting, with the rules and the words of `docker image rm`; all inside the caller's transaction.

A name is taken away; the image goes with its last one. By ID, all names go if they are of one repository. Source:
Docker's documentation of `docker image rm`, and the answers of its daemon.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from dockmagic.database import Database
from dockmagic.errors import Conflict
from dockmagic.image import names
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference

_CONTAINERS = """
    SELECT id FROM containers WHERE image_id = ?
    UNION SELECT container_id FROM image_users WHERE image_id = ?
"""


def remove(database: Database, match: names.Match, force: bool, running: bool) -> list[str]:
    """Do it in rows; what was done ("Untagged: …", "Deleted: …"). `running`: a running container uses the image.

    Raises Conflict for a use or for further names that only `force` overrides, and for a running container by ID.
    """
    present = names.references(database, match.image_id)
    containers = _containers(database, match.image_id)
    if match.reference is None:
        _check_by_id(match.image_id, present, containers, force, running)
        return _untag(database, present) + _delete(database, match.image_id)
    if (containers or running) and not force and _is_single(present):
        _refuse(
            match.reference.familiar,
            f"unable to remove (must force): {_user(containers)} is using its image {match.image_id.short}",
        )
    gone = _gone_with(match.reference, present)
    lines = _untag(database, gone)
    if len(gone) < len(present) or running:
        return lines
    return lines + _delete(database, match.image_id)


def actions(lines: Sequence[str], image_id: Digest) -> list[str]:
    """The events that tell of what was done to the image, in its order."""
    known = {"Untagged": "untag", f"Deleted: {image_id}": "delete"}
    found = (known.get(line) or known.get(line.partition(": ")[0]) for line in lines)
    return [action for action in found if action]


def _check_by_id(
    image_id: Digest, present: Sequence[Reference], containers: Sequence[str], force: bool, running: bool
) -> None:
    """Raise Conflict where an image can't be deleted by its ID."""
    if running:
        _refuse(image_id.short, f"unable to delete (cannot be forced): {_user(containers)} uses it and is running")
    if force:
        return
    if containers:
        _refuse(image_id.short, f"unable to delete (must be forced): stopped {_user(containers)} uses it")
    if not _is_single(present):
        listed = ", ".join(reference.familiar for reference in present)
        _refuse(image_id.short, f"unable to delete (must be forced): it has several names ({listed})")


def _gone_with(reference: Reference, present: Sequence[Reference]) -> list[Reference]:
    """The reference, and the digests of its repository if it was the last tag there."""
    same = [other for other in present if other.name == reference.name and other != reference]
    is_last_tag = reference.digest is None and all(other.digest is not None for other in same)
    return [reference, *same] if is_last_tag else [reference]


def _is_single(present: Sequence[Reference]) -> bool:
    """Whether there is at most one tag, and at most one repository."""
    tags = [reference for reference in present if reference.digest is None]
    return len(tags) <= 1 and len({reference.name for reference in present}) <= 1


def _containers(database: Database, image_id: Digest) -> list[str]:
    """IDs of the containers that were made of the image, or have it mounted."""
    found = database.query(_CONTAINERS, (image_id, image_id))
    return [row["id"] for row in found]


def _user(containers: Sequence[str]) -> str:
    """Words for whoever uses the image."""
    return f"container {containers[0][:12]}" if containers else "a container"


def _untag(database: Database, references: Sequence[Reference]) -> list[str]:
    """Take these names away, and say so."""
    with database.transaction() as transaction:
        transaction.executemany("DELETE FROM tags WHERE reference = ?", [(str(reference),) for reference in references])
    return [f"Untagged: {reference.familiar}" for reference in references]


def _delete(database: Database, image_id: Digest) -> list[str]:
    """Take the image away, and say so."""
    with database.transaction() as transaction:
        transaction.execute("DELETE FROM images WHERE id = ?", (image_id,))
    return [f"Deleted: {image_id}"]


def _refuse(name: str, why: str) -> NoReturn:
    """Raise the Conflict of this image."""
    raise Conflict("image", name, why)
