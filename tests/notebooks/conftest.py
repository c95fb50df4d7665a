"""Every test here is looked after, and its kernels keep their own files in its directory."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _looked_after(nothing_left: None) -> None:
    """Fail a test that leaves something behind."""


@pytest.fixture(autouse=True)
def _jupyter_at_home(_looked_after: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep Jupyter and IPython away from the user's configuration, history and kernels."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
