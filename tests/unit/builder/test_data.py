from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dockmagic.builder.data import copy_data

MIB = 1 << 20


def copied(source: Path) -> Path:
    target = source.with_name("target")
    with source.open("rb") as read, target.open("wb") as written:
        copy_data(read.fileno(), written.fileno())
    return target


@pytest.mark.parametrize("size", [0, 1, 4096, 3 * MIB + 17])
def test_all_bytes_arrive(tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    assert copied(source).read_bytes() == source.read_bytes()


def test_holes_stay_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.seek(8 * MIB)
        file.write(b"middle")
        file.truncate(64 * MIB)
    target = copied(source)
    assert target.stat().st_size == 64 * MIB
    assert target.stat().st_blocks * 512 < MIB
    with target.open("rb") as file:
        file.seek(8 * MIB)
        assert file.read(6) == b"middle"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.ENOSYS])
def test_where_the_kernel_does_not_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*args: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(2 * MIB + 5))
    assert copied(source).read_bytes() == source.read_bytes()


def test_a_full_disk_is_no_reason_to_try_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", full)
    source = tmp_path / "source"
    source.write_bytes(bytes(MIB))
    with pytest.raises(OSError, match="No space left"):
        copied(source)


def test_where_nothing_is_known_of_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "lseek", refuse)
    source = tmp_path / "source"
    source.write_bytes(b"plain" * MIB)
    assert copied(source).read_bytes() == b"plain" * MIB


def test_a_file_that_becomes_shorter_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "copy_file_range", lambda *args: 0)
    source = tmp_path / "source"
    source.write_bytes(bytes(MIB))
    assert copied(source).stat().st_size == MIB


def test_a_small_file_that_becomes_shorter_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pread", lambda *args: b"")
    source = tmp_path / "source"
    source.write_bytes(b"gone")
    assert copied(source).stat().st_size == 4


def test_a_small_file_with_a_hole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.seek(64 << 10)
        file.write(b"end")
    target = copied(source)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks <= source.stat().st_blocks
