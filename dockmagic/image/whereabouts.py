"""Which repositories of registries were seen to have a blob: from there it can be mounted instead of being sent.

Source: distribution-spec "Mounting a blob from another repository".
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from dockmagic.database import Database
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference

_NOTE: Final = """
    INSERT INTO blob_repositories VALUES (?, ?, ?, ?)
    ON CONFLICT (digest, registry, repository) DO UPDATE SET seen_ns = excluded.seen_ns
"""
_ELSEWHERE: Final = """
    SELECT repository FROM blob_repositories WHERE digest = ? AND registry = ? AND repository != ?
    ORDER BY seen_ns DESC, repository LIMIT 1
"""
_FORGET: Final = "DELETE FROM blob_repositories WHERE digest = ? AND registry = ? AND repository = ?"


class Whereabouts:
    """What is known of the blobs of a state root; any thread may call any method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, digests: Iterable[Digest], reference: Reference) -> None:
        """The repository of a reference has these blobs now."""
        now = time.time_ns()
        rows = [(digest, reference.registry, reference.repository, now) for digest in digests]
        with self._database.transaction() as transaction:
            transaction.executemany(_NOTE, rows)

    def elsewhere(self, digest: Digest, reference: Reference) -> str:
        """The repository beside that of the reference, in its registry, that had the blob last; "" for none."""
        rows = self._database.query(_ELSEWHERE, (digest, reference.registry, reference.repository))
        return str(rows[0]["repository"]) if rows else ""

    def forget(self, digest: Digest, registry: str, repository: str) -> None:
        """The repository hasn't the blob, or doesn't give it to us."""
        with self._database.transaction() as transaction:
            transaction.execute(_FORGET, (digest, registry, repository))
