from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from dockmagic.image.tar_header import Entry
from dockmagic.image.tar_writer import TarWriter

NO_FILE = -1


def test_tarfile_reads_what_is_written(tmp_path: Path) -> None:
    sizes = (0, 1, 512, 513, 3_000_000)
    content = bytes(range(256)) * 12_000
    (tmp_path / "content").write_bytes(content)
    out = io.BytesIO()
    writer = TarWriter(out)
    with (tmp_path / "content").open("rb", buffering=0) as file:
        for size in sizes:
            file.seek(0)
            writer.add(Entry(b"%d" % size, size=size, stored=size), file.fileno())
    writer.add(Entry(b"directory", tarfile.DIRTYPE), NO_FILE)
    writer.finish()
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        for size in sizes:
            member = archive.extractfile(str(size))
            assert member is not None
            assert member.read() == content[:size]
        assert archive.getmember("directory").isdir()
    assert out.getvalue()[-1024:] == bytes(1024)


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x" * 10)
    entry = Entry(b"short", size=3_000_000, stored=3_000_000)
    out = io.BytesIO()
    with (tmp_path / "short").open("rb", buffering=0) as file:
        with pytest.raises(OSError, match="it became shorter"):
            TarWriter(io.BytesIO()).add(entry, file.fileno())
        file.seek(0)
        writer = TarWriter(out, pads=True)
        writer.add(entry, file.fileno())
        writer.finish()
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        member = archive.extractfile("short")
        assert member is not None
        assert member.read() == b"x" * 10 + bytes(3_000_000 - 10)


def test_writes_are_large() -> None:
    class Counting(io.BytesIO):
        calls = 0

        def write(self, data: object, /) -> int:
            Counting.calls += 1
            return super().write(data)  # type: ignore[arg-type]  # bytes in fact

    out = Counting()
    writer = TarWriter(out)
    for index in range(5000):
        writer.add(Entry(b"%d" % index), NO_FILE)
    writer.finish()
    assert Counting.calls == 3


def test_a_file_that_shrinks_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"short")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="shorter"):
            TarWriter(io.BytesIO()).add(Entry(b"file", size=10, stored=10), fd)
    finally:
        os.close(fd)
