from __future__ import annotations

from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeEngine


def test_info_is_the_engines() -> None:
    assert call(FakeEngine(), "info")["root"] == "/somewhere"


def test_the_version() -> None:
    assert str(call(FakeEngine(), "version")) == "version:   0.1.0"
