from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dockmagic.commands.doors import open_engine
from dockmagic.engine import Engine
from dockmagic.errors import InvalidOption


@pytest.mark.parametrize(
    ("text", "limit"), [("", None), ("5000", 5000), ("5GB", 5 << 30), ("10m", 10 << 20), ("unlimited", sys.maxsize)]
)
def test_the_limit_of_the_build_cache(text: str, limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(Engine, "__init__", lambda self, root, **options: given.append(options["build_cache_limit"]))
    open_engine({"DOCKMAGIC_ROOT": "/nowhere", "DOCKMAGIC_BUILD_CACHE_LIMIT": text})
    assert given == [limit]


@pytest.mark.parametrize("text", ["much", "-1", "5 parsecs", "Unlimited!"])
def test_a_limit_that_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidOption, match=r"DOCKMAGIC_BUILD_CACHE_LIMIT: .*, or unlimited"):
        open_engine({"DOCKMAGIC_ROOT": str(tmp_path / "root"), "DOCKMAGIC_BUILD_CACHE_LIMIT": text})
    assert not (tmp_path / "root").exists()
