from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.builder.lab import Lab


@pytest.fixture(autouse=True)
def _anybody_may_give_files_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root, owners stay what they are; who a file is given to is tested as root (tests/integration)."""
    if os.geteuid():
        monkeypatch.setattr(os, "chown", lambda *args, **options: None)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A state root with a base image; nothing may be left in it of unfinished work."""
    lab = Lab(tmp_path / "state")
    lab.base(
        "base",
        {
            "bin/sh": "shell",
            "etc/passwd": "root:x:0:0::/root:/bin/sh\nbob:x:1000:1001::/home/bob:/bin/sh\n",
            "etc/group": "root:x:0:\nstaff:x:50:\n",
            "srv/app/": "",
            "app": "-> srv/app",
        },
    )
    yield lab
    assert lab.left() == []


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """An empty build context."""
    directory = tmp_path / "context"
    directory.mkdir()
    return directory
