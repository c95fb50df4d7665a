from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.registry.faults import Fault
from dockmagic.registry.uploads import ABANDONED_S, Uploads


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_an_upload_is_hashed_while_it_arrives(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "u")
    upload = uploads.begin("a")
    upload.write([b"he", b"llo"])
    upload.write([b"!"])
    assert upload.size == 6
    for algorithm in ("sha256", "sha512"):
        assert upload.digest(algorithm).hex == hashlib.new(algorithm, b"hello!").hexdigest()
    uploads.end(upload)
    uploads.end(upload)
    assert list((tmp_path / "u").iterdir()) == []


def test_what_came_before_it_broke_off_stays(tmp_path: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"hel"
        raise ConnectionError

    upload = Uploads(tmp_path).begin("a")
    with pytest.raises(ConnectionError):
        upload.write(breaking())
    upload.write([b"lo"])
    assert upload.path.read_bytes() == b"hello"
    assert upload.digest("sha256").hex == hashlib.sha256(b"hello").hexdigest()


def test_an_upload_is_known_in_its_repository_only(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    upload = uploads.begin("a")
    with uploads.held("a", upload.name) as held:
        assert held is upload
    for repository, name in (("b", upload.name), ("a", "x"), ("a", f"../{tmp_path.name}/{upload.name}")):
        with pytest.raises(Fault, match="no such upload"), uploads.held(repository, name):
            pass


def test_who_waits_for_an_upload_that_ends_is_told(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    upload = uploads.begin("a")
    caught: list[Fault] = []

    def wait() -> None:
        try:
            with uploads.held("a", upload.name):
                pass
        except Fault as fault:
            caught.append(fault)

    with uploads.held("a", upload.name):
        waiting = threading.Thread(target=wait)
        waiting.start()
        uploads.end(upload)
    waiting.join()
    assert [fault.code for fault in caught] == ["BLOB_UPLOAD_UNKNOWN"]


def test_abandoned_uploads_are_swept(tmp_path: Path) -> None:
    clock = Clock()
    uploads = Uploads(tmp_path, clock)
    old, held, fresh = uploads.begin("a"), uploads.begin("a"), uploads.begin("a")
    clock.now_s = ABANDONED_S + 1
    fresh.write([b"x"])
    with uploads.held("a", held.name):
        new = uploads.begin("a")
    assert {path.name for path in tmp_path.iterdir()} == {held.name, fresh.name, new.name}
    with pytest.raises(Fault), uploads.held("a", old.name):
        pass


def test_what_a_crash_left_is_gone(tmp_path: Path) -> None:
    (tmp_path / "left").write_bytes(b"half")
    Uploads(tmp_path)
    assert list(tmp_path.iterdir()) == []
