"""What builds came to, step by step, kept in the state root: how long each took, what it used, and what it left.

A step's record has the image as it was after the step (its config, with the layers' diff IDs), so that a container can
be started there; of a step that failed, with what the command had done by then. Records don't keep layers: these go
when the cache lets go of them. Only the newest builds are remembered.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from dockmagic.database import Database
from dockmagic.errors import InvalidReference, NotFound
from dockmagic.events import StepState
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.image_json import dump_image_config, parse_image_config, with_times
from dockmagic.oci.reference import Reference

MOST_BUILDS: Final = 200
_STEP: Final = """
    INSERT INTO build_history (
        build_id, number, stage, line, text, state, reason, started_ns, duration_ns, cpu_ns, peak_memory_bytes,
        container_id, image_id, state_key, config
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PRUNE: Final = """
    DELETE FROM builds WHERE started_ns <= (SELECT started_ns FROM builds ORDER BY started_ns DESC LIMIT 1 OFFSET ?)
"""
_FIND: Final = """
    SELECT *, EXISTS (SELECT 1 FROM json_each(builds.tags) WHERE value IN (?1, ?2)) AS is_tagged FROM builds
    WHERE is_tagged OR substr(id, 1, length(?1)) = ?1 OR image_id = ?1 OR substr(image_id, 8, length(?1)) = ?1
    ORDER BY is_tagged DESC, started_ns DESC LIMIT 1
"""
_FIND_STEP: Final = """
    SELECT build_history.* FROM build_history JOIN builds ON builds.id = build_id
    WHERE build_history.image_id = ?1 OR substr(build_history.image_id, 8, length(?1)) = ?1
    ORDER BY builds.started_ns DESC, number LIMIT 1
"""
_COUNT: Final = """
    SELECT build_id, count(*) AS steps, sum(state = ?) AS cached FROM build_history GROUP BY build_id
"""


@dataclass(frozen=True)
class StepRecord:
    """A step as it was: when it began (ns since the epoch), what it took, and the image after it.

    `stage` is "" in a build of one stage. `peak_memory_bytes` is 0 where no command ran; `cpu_ns` of such a step is the
    builder's own. `image` is None where the step came to nothing.
    """

    number: int
    text: str
    state: StepState
    line: int
    stage: str = ""
    reason: str = ""
    started_ns: int = 0
    duration_ns: int = 0
    cpu_ns: int = 0
    peak_memory_bytes: int = 0
    container_id: str = ""
    image: ImageConfig | None = None

    @cached_property
    def config(self) -> bytes:
        """The config of the image after the step; b"" where there is none."""
        return b"" if self.image is None else dump_image_config(self.image)

    @cached_property
    def image_id(self) -> str:
        """What the image after the step is called; "" where there is none."""
        return Digest.of(self.config) if self.config else ""


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """A build: when it was (ns since the epoch), its steps by number, and the image; "" where it failed, with `error`.

    `name` tells the builds of one Dockerfile, context and tag from others.
    """

    id: str
    name: str
    filename: str
    started_ns: int
    tags: tuple[str, ...] = ()
    ended_ns: int = 0
    image_id: str = ""
    error: str = ""
    steps: tuple[StepRecord, ...] = field(default=())


def new_build_id() -> str:
    """What a build is called."""
    return secrets.token_hex(6)


class BuildHistory:
    """The tables `builds` and `build_history`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, build: BuildRecord) -> None:
        """Remember a build that is over, and forget the oldest."""
        values = (build.id, build.name, build.filename, json.dumps(build.tags), build.started_ns, build.ended_ns)
        with self._database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO builds (id, name, filename, tags, started_ns, ended_ns, image_id, error)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, build.image_id, build.error),
            )
            transaction.executemany(_STEP, [_values(build.id, step) for step in build.steps])
            transaction.execute(_PRUNE, (MOST_BUILDS,))

    def builds(self) -> list[BuildRecord]:
        """The builds that are remembered, newest first, without their steps."""
        return [_build(row, ()) for row in self._database.query("SELECT * FROM builds ORDER BY started_ns DESC")]

    def counts(self) -> dict[str, tuple[int, int]]:
        """How many steps each build had, and how many of these came from the cache, by the build's ID."""
        rows = self._database.query(_COUNT, (StepState.CACHED.value,))
        return {row["build_id"]: (row["steps"], row["cached"]) for row in rows}

    def find(self, name: str = "") -> BuildRecord | None:
        """The newest build with this name: a tag, the beginning of its ID or of its image's; "" for the newest of all.

        A tag goes before an ID. None where there is no such build.
        """
        rows = self._database.query(_FIND, (name, _familiar(name)))
        if not rows:
            return None
        found = self._database.query("SELECT * FROM build_history WHERE build_id = ? ORDER BY number", (rows[0]["id"],))
        return _build(rows[0], [_step(row) for row in found])

    def get(self, name: str = "") -> BuildRecord:
        """As `find`; raises NotFound."""
        build = self.find(name)
        if build is None:
            raise NotFound("build", name, "`build-history` shows those that are remembered")
        return build

    def step_of(self, image_id: str) -> StepRecord | None:
        """The newest step that an image of this ID, or with this beginning of one, came of; None without one."""
        rows = self._database.query(_FIND_STEP, (image_id,))
        return _step(rows[0]) if rows else None

    def known(self, image: ImageConfig) -> ImageConfig | None:
        """The image after an earlier step that differs from this one at most in its times; None where there is none."""
        rows = self._database.query("SELECT config FROM build_history WHERE state_key = ? LIMIT 1", (state_key(image),))
        return with_times(image, rows[0]["config"]) if rows else None


def _familiar(name: str) -> str:
    """A tag as builds have it: "hello:latest" for "hello"; "" for what can't be one."""
    try:
        return Reference.parse(name).familiar
    except InvalidReference:
        return ""


def state_key(image: ImageConfig) -> str:
    """Digest of all of a config but its times."""
    return Digest.of(dump_image_config(image, times=False))


def _values(build_id: str, step: StepRecord) -> tuple[str | int, ...]:
    """A step's row."""
    return (
        build_id,
        step.number,
        step.stage,
        step.line,
        step.text,
        step.state.value,
        step.reason,
        step.started_ns,
        step.duration_ns,
        step.cpu_ns,
        step.peak_memory_bytes,
        step.container_id,
        step.image_id,
        "" if step.image is None else state_key(step.image),
        step.config.decode(),
    )


def _step(row: sqlite3.Row) -> StepRecord:
    """The step of a row."""
    return StepRecord(
        number=row["number"],
        text=row["text"],
        state=StepState(row["state"]),
        line=row["line"],
        stage=row["stage"],
        reason=row["reason"],
        started_ns=row["started_ns"],
        duration_ns=row["duration_ns"],
        cpu_ns=row["cpu_ns"],
        peak_memory_bytes=row["peak_memory_bytes"],
        container_id=row["container_id"],
        image=parse_image_config(row["config"].encode()) if row["config"] else None,
    )


def _build(row: sqlite3.Row, steps: Sequence[StepRecord]) -> BuildRecord:
    """The build of a row."""
    return BuildRecord(
        id=row["id"],
        name=row["name"],
        filename=row["filename"],
        started_ns=row["started_ns"],
        tags=tuple(json.loads(row["tags"])),
        ended_ns=row["ended_ns"],
        image_id=row["image_id"],
        error=row["error"],
        steps=tuple(steps),
    )
