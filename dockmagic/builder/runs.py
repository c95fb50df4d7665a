"""The last run of each step of each build, kept in the state root so that the next one can be compared with it.

A place is a step's address: the build that it belongs to, its stage, its kind, and which of that kind it is. Only the
newest places are kept.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Final

from dockmagic.builder.explain import StepRun
from dockmagic.database import Database

MOST_PLACES: Final = 1000
_RECORD: Final = "INSERT OR REPLACE INTO build_steps (place, key, run, recorded_ns) VALUES (?, ?, ?, ?)"
_PRUNE: Final = """
    DELETE FROM build_steps WHERE recorded_ns <= (
        SELECT recorded_ns FROM build_steps ORDER BY recorded_ns DESC LIMIT 1 OFFSET ?
    )
"""


def build_name(dockerfile: Path | None, context: Path | str | None, tag: str) -> str:
    """What tells one build's steps from another's: its Dockerfile, its context and the first name of its image."""
    places = [str(place.absolute()) if isinstance(place, Path) else place or "" for place in (dockerfile, context)]
    return json.dumps([*places, tag])


class Places:
    """Gives the steps of a stage their places, in order."""

    def __init__(self, build: str, stage: str) -> None:
        self._build = build
        self._stage = stage
        self._seen: Counter[str] = Counter()

    def next(self, keyword: str) -> str:
        """The place of the stage's next instruction of this kind."""
        self._seen[keyword] += 1
        address = json.dumps([self._build, self._stage, keyword, self._seen[keyword]])
        return hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()


class StepRuns:
    """The table `build_steps`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def key(self, place: str) -> str | None:
        """The cache key of the last run at this place."""
        rows = self._database.query("SELECT key FROM build_steps WHERE place = ?", (place,))
        return rows[0]["key"] if rows else None

    def last(self, place: str) -> StepRun | None:
        """The last run at this place, None also for one that another version wrote in another form."""
        rows = self._database.query("SELECT run FROM build_steps WHERE place = ?", (place,))
        try:
            fields = json.loads(rows[0]["run"]) if rows else None
            return None if fields is None else StepRun(**{**fields, "args": tuple(fields["args"])})
        except (TypeError, KeyError, ValueError):
            return None

    def record(self, place: str, run: StepRun) -> None:
        """Remember this run as the last one, and forget the oldest places."""
        with self._database.transaction() as transaction:
            transaction.execute(_RECORD, (place, run.key, json.dumps(_form(run)), time.time_ns()))
            transaction.execute(_PRUNE, (MOST_PLACES,))


def _form(run: StepRun) -> dict[str, object]:
    """JSON form of a run, which is made of plain values."""
    return {field.name: getattr(run, field.name) for field in fields(run)}
