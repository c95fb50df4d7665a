"""What a user means by a name of an image: a reference, an ID or the start of one, in this order."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dockmagic.database import Database
from dockmagic.errors import InvalidReference
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{2,64})")
_WHOLE = 64


@dataclass(frozen=True, slots=True)
class Match:
    """An image, and the reference it was found by (None: by its ID)."""

    image_id: Digest
    reference: Reference | None = None


def resolve(database: Database, name: str) -> Match | None:
    """The image of this name, None where there is none.

    Raises InvalidReference for a text that is neither a reference nor hexadecimal, and where several IDs start so.
    """
    identifier = _ID.fullmatch(name)
    if identifier is None:
        return _by_reference(database, Reference.parse(name))
    if len(identifier[1]) < _WHOLE and not name.startswith("sha256:"):
        match = _by_reference(database, Reference.parse(name))
        if match is not None:
            return match
    return _by_prefix(database, name, f"sha256:{identifier[1]}")


def references(database: Database, image_id: Digest) -> tuple[Reference, ...]:
    """The image's names, sorted."""
    rows = database.query("SELECT reference FROM tags WHERE image_id = ? ORDER BY reference", (image_id,))
    return tuple(Reference.parse(row["reference"]) for row in rows)


def _by_reference(database: Database, reference: Reference) -> Match | None:
    """The image of exactly this reference."""
    rows = database.query("SELECT image_id FROM tags WHERE reference = ?", (str(reference),))
    return Match(Digest(rows[0]["image_id"]), reference) if rows else None


def _by_prefix(database: Database, name: str, prefix: str) -> Match | None:
    """The one image whose ID starts so."""
    rows = database.query("SELECT id FROM images WHERE id GLOB ? ORDER BY id LIMIT 3", (f"{prefix}*",))
    if len(rows) > 1:
        found = ", ".join(Digest(row["id"]).short for row in rows)
        raise InvalidReference(f"{name} is the start of more than one image ID ({found} …); give more digits")
    return Match(Digest(rows[0]["id"])) if rows else None
