"""Every test here is looked after: it may leave nothing on the machine."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _looked_after(nothing_left: None) -> None:
    """Fail a test that leaves something behind."""
