"""The quickstart notebook in JupyterLab, as a user sees it. The picture is left in tests/browser/artifacts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.browser.lab import CHROMIUM, running_lab

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "tests" / "browser" / "artifacts" / "quickstart.png"


@pytest.mark.root
@pytest.mark.browser
@pytest.mark.needs(CHROMIUM)
@pytest.mark.timeout(240)
def test_the_whole_notebook(state_root: Path, tmp_path: Path) -> None:
    files, own = tmp_path / "notebooks", tmp_path / "jupyter"
    own.mkdir()
    shutil.copytree(ROOT / "notebooks" / "hello", files / "hello")
    shutil.copy(ROOT / "notebooks" / "quickstart.ipynb", files)
    with running_lab(files, own, dict(os.environ)) as lab, lab.notebook("quickstart.ipynb") as notebook:
        cells = {cell.id: cell for cell in notebook.run()}
        notebook.picture(PICTURE)
        saved = notebook.saved()
    assert [cell.id for cell in cells.values() if cell.failed] == []
    assert lab.console == []
    assert "hello world" in cells["run"].text
    assert "hello:latest" in cells["build"].text
    assert ["image/png" in types for types in cells["stats"].types].count(True) == 1
    assert "<img" in cells["stats"].html
    assert "<details" in cells["tree"].html
    assert "Up " in cells["ps"].text
    assert "widgets" not in saved["metadata"]
