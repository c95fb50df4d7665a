"""What `%load_ext dockmagic` loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dockmagic

HEAVY = ("matplotlib", "numpy", "requests", "sqlite3", "isal", "zstandard", "dockmagic.engine")
PROGRAM = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell(config=config)
before = set(sys.modules)
shell.run_line_magic("load_ext", "dockmagic")
print(*sorted(set(sys.modules) - before))
"""


def test_loading_the_extension_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "dockmagic.magics.extension" in loaded
    assert [name for name in loaded if name in HEAVY] == []


def test_the_engine_is_imported_at_its_first_use() -> None:
    assert dockmagic.Engine.__name__ == "Engine"
    with pytest.raises(AttributeError, match="nothing"):
        dockmagic.nothing  # noqa: B018
