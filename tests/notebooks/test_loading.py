"""Loading the extension brings in little: what is heavy is imported where it is first used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebooks.kernel import kernel

HEAVY = (
    "matplotlib.pyplot",
    "requests",
    "dockmagic.engine",
    "dockmagic.database",
    "isal",
    "zstandard",
    "ipywidgets",
    "pandas",
)


@pytest.mark.notebook
def test_it_imports_little(tmp_path: Path, state_root: Path) -> None:
    with kernel(tmp_path) as running:
        loaded = running.run("import sys; print(*sys.modules)").stream("stdout").split()
    assert [name for name in HEAVY if name in loaded] == []
    assert not state_root.exists(), "loading made a state root"
