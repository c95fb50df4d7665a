from __future__ import annotations

import threading
import time
from pathlib import Path

from dockmagic.journal import NOWHERE, Journal, parse


def test_events_come_back_in_dockers_form(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl")
    before = time.time_ns()
    journal.write("container", "start", "c0ffee", {"image": "busybox", "name": "burn"})
    (entry,) = journal.entries(until_ns=time.time_ns())
    assert (entry.type, entry.action, entry.id, entry.attributes["name"]) == ("container", "start", "c0ffee", "burn")
    assert entry.time_ns >= before
    document = entry.document()
    assert (document["status"], document["from"], document["Actor"]["ID"]) == ("start", "busybox", "c0ffee")


def test_times_bound_what_is_given(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl")
    for action in ("a", "b", "c"):
        journal.write("container", action, "x", {})
    times = [entry.time_ns for entry in journal.entries(until_ns=time.time_ns())]
    assert times == sorted(times)
    assert [entry.action for entry in journal.entries(times[1], times[1])] == ["b"]


def test_many_writers_lose_nothing_and_the_file_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    def write(number: int) -> None:
        for each in range(50):
            Journal(path, 2000).write("container", f"{number}.{each}", "x", {})

    found = []
    ended = threading.Event()

    def follow() -> None:
        for entry in Journal(path).entries():
            found.append(entry.action)
            if entry.action == "end":
                break
        ended.set()

    threading.Thread(target=follow, daemon=True).start()
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    Journal(path).write("container", "end", "x", {})
    assert ended.wait(10)
    assert found[-1] == "end"
    assert len(found) == len(set(found))
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 10_000


def test_what_is_no_event_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('torn\n{"a": 1}\n')
    assert list(Journal(path).entries(until_ns=time.time_ns())) == []
    assert parse(b"[]\n") is None


def test_nowhere_takes_all_and_a_full_disk_is_no_error(tmp_path: Path) -> None:
    NOWHERE.write("container", "start", "x", {})
    Journal(tmp_path / "missing" / "events").write("container", "start", "x", {})
