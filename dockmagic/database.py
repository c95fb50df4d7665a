"""The one SQLite file of a state root: schema, migrations, transactions.

Several processes use it at the same time, each with many threads. WAL lets readers go on while one writes; a writer
waits for another up to 30 s. A connection serves one thread at a time, and never crosses a fork.
Source: sqlite.org/wal.html, "How To Corrupt An SQLite Database File" (section 2.6, fork), sqlite.org/rescode.html.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dockmagic.errors import StoreError

_BUSY_TIMEOUT_S: Final = 30.0

# Each script takes the schema from the version that is its index to the next one.
_MIGRATIONS: Final = (
    """
    CREATE TABLE images (
        id TEXT PRIMARY KEY,                -- digest of the config
        manifest_digest TEXT NOT NULL,
        created_ns INTEGER NOT NULL,        -- what the config says, 0 where it says nothing
        added_ns INTEGER NOT NULL
    );
    CREATE TABLE tags (
        reference TEXT PRIMARY KEY,         -- canonical, with tag or digest
        image_id TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
    );
    CREATE INDEX tags_by_image ON tags(image_id);
    CREATE TABLE image_layers (             -- outlives its image while a container was made of it
        image_id TEXT NOT NULL,
        position INTEGER NOT NULL,          -- 0 is the lowest
        chain_id TEXT NOT NULL,
        digest TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,        -- of the blob
        PRIMARY KEY (image_id, position)
    );
    CREATE TABLE layers (                   -- those that are unpacked
        chain_id TEXT PRIMARY KEY,
        parent TEXT REFERENCES layers(chain_id),
        diff_id TEXT NOT NULL,
        digest TEXT NOT NULL,
        media_type TEXT NOT NULL,
        compressed_size INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        boot_id TEXT NOT NULL               -- of the boot that hasn't written it to the disk yet, else ''
    );
    CREATE INDEX layers_by_parent ON layers(parent);
    CREATE TABLE containers (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        image_id TEXT NOT NULL DEFAULT '',
        image_reference TEXT NOT NULL DEFAULT '',
        created_ns INTEGER NOT NULL,
        spec TEXT NOT NULL DEFAULT '{}',
        options TEXT NOT NULL DEFAULT '{}',
        labels TEXT NOT NULL DEFAULT '{}'
    );
    CREATE INDEX containers_by_image ON containers(image_id);
    CREATE TABLE build_cache (
        key TEXT PRIMARY KEY,
        parent_key TEXT,
        chain_id TEXT,                      -- NULL where the step made no layer
        diff_id TEXT,
        config TEXT NOT NULL DEFAULT '{}',
        description TEXT NOT NULL DEFAULT '',
        created_ns INTEGER NOT NULL,
        used_ns INTEGER NOT NULL
    );
    """,
    """
    CREATE TABLE build_steps (              -- what each step's last run was made of
        place TEXT PRIMARY KEY,             -- digest of build, stage, kind and number
        key TEXT NOT NULL,                  -- in build_cache, if it is still there
        run TEXT NOT NULL,                  -- JSON
        recorded_ns INTEGER NOT NULL
    );
    CREATE INDEX build_steps_by_time ON build_steps(recorded_ns);
    """,
    """
    CREATE TABLE builds (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,                 -- the same for every build of a Dockerfile, context and tag
        filename TEXT NOT NULL,
        tags TEXT NOT NULL,                 -- JSON
        started_ns INTEGER NOT NULL,
        ended_ns INTEGER NOT NULL,
        image_id TEXT NOT NULL,             -- '' where it failed
        error TEXT NOT NULL
    );
    CREATE INDEX builds_by_time ON builds(started_ns);
    CREATE TABLE build_history (
        build_id TEXT NOT NULL REFERENCES builds(id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        stage TEXT NOT NULL,
        line INTEGER NOT NULL,
        text TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        started_ns INTEGER NOT NULL,
        duration_ns INTEGER NOT NULL,
        cpu_ns INTEGER NOT NULL,
        peak_memory_bytes INTEGER NOT NULL,
        container_id TEXT NOT NULL,
        image_id TEXT NOT NULL,
        state_key TEXT NOT NULL,            -- digest of the config without its times
        config TEXT NOT NULL,               -- of the image after the step
        PRIMARY KEY (build_id, number)
    );
    CREATE INDEX build_history_by_state ON build_history(state_key);
    CREATE INDEX build_cache_by_parent ON build_cache(parent_key);
    """,
    """
    CREATE TABLE blob_repositories (        -- where registries were seen to have a blob
        digest TEXT NOT NULL,
        registry TEXT NOT NULL,
        repository TEXT NOT NULL,
        seen_ns INTEGER NOT NULL,
        PRIMARY KEY (digest, registry, repository)
    );
    """,
    """
    CREATE TABLE volumes (
        name TEXT PRIMARY KEY,
        created_ns INTEGER NOT NULL,
        labels TEXT NOT NULL,               -- JSON
        options TEXT NOT NULL               -- JSON: what -o gave
    );
    CREATE TABLE volume_users (             -- counts as long as the container's directory is there
        volume TEXT NOT NULL REFERENCES volumes(name) ON DELETE CASCADE,
        container_id TEXT NOT NULL,
        remove INTEGER NOT NULL,            -- 1 where the container takes unnamed volumes with it when it ends
        PRIMARY KEY (volume, container_id)
    );
    CREATE INDEX volume_users_by_container ON volume_users(container_id);
    CREATE TABLE image_users (              -- containers that an image is mounted in, beside the one they were made of
        image_id TEXT NOT NULL,
        container_id TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
        PRIMARY KEY (image_id, container_id)
    );
    CREATE INDEX image_users_by_container ON image_users(container_id);
    """,
    """
    CREATE TABLE networks (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        driver TEXT NOT NULL,
        created_ns INTEGER NOT NULL,
        interface TEXT NOT NULL,            -- of the bridge on the host, '' for none
        subnets TEXT NOT NULL,              -- JSON
        chosen INTEGER NOT NULL,            -- 1 where the engine may choose other subnets
        internal INTEGER NOT NULL,
        ipv6 INTEGER NOT NULL,
        attachable INTEGER NOT NULL,
        options TEXT NOT NULL,              -- JSON
        labels TEXT NOT NULL,               -- JSON
        cursor INTEGER NOT NULL DEFAULT 0   -- the last IPv4 address that was leased, as a number
    );
    CREATE TABLE endpoints (                -- containers in networks; a lease counts while its container runs
        network_id TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE,
        container_id TEXT NOT NULL,         -- may be that of a build step, which has no row
        interface TEXT NOT NULL,
        options TEXT NOT NULL,              -- JSON
        ipv4 TEXT,
        ipv6 TEXT,
        mac TEXT,
        PRIMARY KEY (network_id, container_id),
        UNIQUE (network_id, ipv4),
        UNIQUE (network_id, ipv6)
    );
    CREATE INDEX endpoints_by_container ON endpoints(container_id);
    CREATE TRIGGER endpoints_of_the_gone AFTER DELETE ON containers
        BEGIN DELETE FROM endpoints WHERE container_id = OLD.id; END;
    INSERT INTO networks
    SELECT lower(hex(randomblob(32))), name, driver, CAST(strftime('%s', 'now') AS INTEGER) * 1000000000, '', '[]',
        chosen, 0, 0, 0, '{}', '{}', 0
    FROM (SELECT 'bridge' AS name, 'bridge' AS driver, 1 AS chosen UNION SELECT 'host', 'host', 0
        UNION SELECT 'none', 'null', 0);
    UPDATE containers SET options = json_set(options, '$.network', 'none')
    WHERE json_extract(options, '$.network') IS NULL; -- which was the default
    """,
)

_CAUSES: Final = {
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_BUSY: f"another process has held it for more than {_BUSY_TIMEOUT_S:.0f} s",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_IOERR: "the disk gives an I/O error (it may be full)",
    sqlite3.SQLITE_CORRUPT: "it is damaged; remove it and the images have to be pulled and built again",
    sqlite3.SQLITE_FULL: "the disk is full; free some space and try again",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened; check that its directory exists and may be written",
    sqlite3.SQLITE_NOTADB: "it is not a database; remove it and the images have to be pulled and built again",
}


class Database:
    """state.db; safe to use from any thread and, after a fork, from the child too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._pid = os.getpid()
        self._idle: list[sqlite3.Connection] = []
        self._inherited: list[sqlite3.Connection] = []
        with self._connection():
            pass

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Connection in a write transaction: committed at the end, rolled back on any exception.

        Inside another transaction of this thread it is part of that one. Others wait: keep it short.
        """
        active = self._active()
        if active is not None:
            yield active
            return
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._local.active = (os.getpid(), connection)
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                self._local.active = None
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a SELECT, seen from inside this thread's transaction if there is one."""
        active = self._active()
        if active is not None:
            return active.execute(sql, params).fetchall()
        with self._connection() as connection:
            return connection.execute(sql, params).fetchall()

    def close(self) -> None:
        """Close the connections that are not in use; the next call opens one again."""
        self._leave_inherited()
        while self._idle:
            self._idle.pop().close()

    def _active(self) -> sqlite3.Connection | None:
        """Connection of this thread's transaction, None outside one."""
        pid, connection = getattr(self._local, "active", None) or (0, None)
        return connection if pid == os.getpid() else None

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """An idle connection or a new one, put back afterwards; turns SQLite's errors into StoreError."""
        self._leave_inherited()
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = _open(self.path)
            pid = os.getpid()
            try:
                yield connection
            finally:
                (self._idle if pid == os.getpid() else self._inherited).append(connection)
        except sqlite3.DatabaseError as error:
            raise _store_error(error, self.path) from error

    def _leave_inherited(self) -> None:
        """After a fork, put the parent's connections aside: closing them would break the parent's locks."""
        if self._pid != os.getpid():
            self._inherited += self._idle
            self._idle = []
            self._pid = os.getpid()


def _open(path: Path) -> sqlite3.Connection:
    """New connection to an up-to-date database."""
    if not path.exists():
        _make_directory(path.parent)
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        if _version(connection) != len(_MIGRATIONS):
            _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_directory(directory: Path) -> None:
    """Make the state root; others have no business in it, since it holds set-user-ID programs of any origin."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the state root {directory}: {error.strerror}") from error


def _version(connection: sqlite3.Connection) -> int:
    """Schema version of the file, 0 for a new one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to the newest version; one process does it, the others wait."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # a change of the journal mode doesn't wait for other connections
        version = _version(connection)
        if version > len(_MIGRATIONS):
            raise StoreError(
                f"{path} was written by a newer version (schema {version}, this one knows {len(_MIGRATIONS)}); "
                "upgrade, or choose another state root with DOCKMAGIC_ROOT"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        for number in range(version, len(_MIGRATIONS)):
            script = f"BEGIN IMMEDIATE; {_MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
            connection.executescript(script)
    finally:
        os.close(directory)


def _store_error(error: sqlite3.DatabaseError, path: Path) -> Exception:
    """StoreError where the file is at fault; a mistake in our own SQL stays what it is."""
    cause = _CAUSES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return error if cause is None else StoreError(f"cannot use {path}: {cause}")
