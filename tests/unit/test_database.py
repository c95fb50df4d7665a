from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import StoreError

ADD = "INSERT INTO build_cache (key, created_ns, used_ns) VALUES (?, 0, 0)"
COUNT = "SELECT count(*) AS n FROM build_cache"

# Opens the database and adds `count` rows, each in its own transaction.
WRITER = """
import sys
from pathlib import Path
from dockmagic.database import Database
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
database = Database(path)
for number in range(count):
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO build_cache (key, created_ns, used_ns) VALUES (?, 0, 0)", (f"{name}{number}",))
database.close()
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "root" / "state.db")
    yield database
    database.close()


def count(database: Database) -> int:
    return int(database.query(COUNT)[0]["n"])


def add(database: Database, key: str) -> None:
    with database.transaction() as transaction:
        transaction.execute(ADD, (key,))


def test_new_database_keeps_others_out_of_its_directory(database: Database) -> None:
    assert database.path.parent.stat().st_mode & 0o777 == 0o700
    assert database.query("PRAGMA journal_mode")[0][0] == "wal"
    assert database.query("PRAGMA foreign_keys")[0][0] == 1


def test_transaction_commits(database: Database) -> None:
    add(database, "a")
    assert count(database) == 1
    database.close()
    assert count(database) == 1


def test_transaction_rolls_back_on_any_exception(database: Database) -> None:
    def interrupted() -> None:
        with database.transaction() as transaction:
            transaction.execute(ADD, ("a",))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert count(database) == 0
    add(database, "a")


def test_transaction_inside_another_is_part_of_it(database: Database) -> None:
    def broken() -> None:
        with database.transaction():
            add(database, "a")
            assert count(database) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert count(database) == 0


def test_only_this_thread_sees_what_is_not_committed(database: Database) -> None:
    seen: list[int] = []
    with database.transaction() as transaction:
        transaction.execute(ADD, ("a",))
        reader = threading.Thread(target=lambda: seen.append(count(database)))
        reader.start()
        reader.join()
    assert seen == [0]


def test_threads_write_one_after_the_other(database: Database) -> None:
    threads = [threading.Thread(target=add, args=(database, str(number))) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 16


def test_processes_create_and_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "root" / "state.db"
    commands = [[sys.executable, "-c", WRITER, str(path), name, "50"] for name in "abcd"]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    errors = [writer.communicate()[1] for writer in writers]
    assert errors == [b""] * 4
    database = Database(path)
    assert count(database) == 200
    database.close()


def test_child_after_a_fork_has_its_own_connection(database: Database) -> None:
    add(database, "parent")
    with database.transaction() as transaction:
        transaction.execute(ADD, ("late",))
        child = os.fork()
        if child == 0:
            os._exit(17 if count(database) == 1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
    child = os.fork()
    if child == 0:
        add(database, "child")
        database.close()
        os._exit(17)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
    add(database, "again")
    assert count(database) == 4


def test_opening_what_exists_is_quick(database: Database) -> None:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        Database(database.path).close()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.003


def test_newer_schema_is_refused(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"written by a newer version \(schema 99"):
        Database(database.path)


def test_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"x" * 4096)
    with pytest.raises(StoreError, match="it is not a database"):
        Database(tmp_path / "state.db")


def test_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(StoreError, match="cannot make the state root"):
        Database(tmp_path / "root" / "state.db")


def test_path_that_is_a_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it can't be opened"):
        Database(tmp_path)


def test_full_disk(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.execute("PRAGMA max_page_count = 1")  # of this connection, which the next call uses again
    with pytest.raises(StoreError, match="disk is full"):
        add(database, "x" * 100_000)
    assert count(database) == 0


def test_our_own_mistakes_are_not_dressed_up(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        database.query("SELECT * FROM nobody")
    add(database, "a")
    with pytest.raises(sqlite3.IntegrityError):
        add(database, "a")


def test_tags_need_their_image(database: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError), database.transaction() as transaction:
        transaction.execute("INSERT INTO tags VALUES ('a', 'b')")
