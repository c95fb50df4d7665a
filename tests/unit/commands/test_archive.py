from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.commands.archive import output
from dockmagic.errors import InvalidOption
from tests.unit.commands.fakes import FakeConsole


def test_archives_are_not_shown() -> None:
    with pytest.raises(InvalidOption, match="cowardly refusing to save to a terminal"), output(None, FakeConsole()):
        pass
    main, terminal = os.openpty()
    with pytest.raises(InvalidOption, match="cowardly"), output(None, FakeConsole(stdout=terminal)):
        pass
    os.close(main)
    os.close(terminal)


def _half() -> Iterator[bytes]:
    """Content that can't be read to its end."""
    yield b"half"
    raise OSError(5, "can't read on")


def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.tar"
    with output(str(target), FakeConsole()) as out:
        out.write(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    with pytest.raises(OSError, match="read"), output(str(target), FakeConsole()) as out:
        deque(map(out.write, _half()), maxlen=0)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]


def test_files_that_cant_be_made(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidOption, match=r"can't write .*missing/out: No such file"),
        output(str(tmp_path / "missing/out"), FakeConsole()),
    ):
        pass
