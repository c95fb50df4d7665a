from __future__ import annotations

import time
from typing import Any

import pytest

from dockmagic.widgets import live


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was displayed and updated: (display id, text)."""
    shown: list[tuple[str, str]] = []

    def note(bundle: dict[str, Any], *, raw: bool, display_id: str) -> None:
        assert raw
        shown.append((display_id, bundle["text/plain"]))

    monkeypatch.setattr(live, "display", note)
    monkeypatch.setattr(live, "update_display", note)
    return shown


def test_first_and_last_state_are_always_shown(shown: list[tuple[str, str]]) -> None:
    state = ["first"]
    with live.LiveDisplay(lambda: {"text/plain": state[0]}, interval_s=60):
        for number in range(1000):
            state[0] = str(number)
    assert [text for _, text in shown] == ["first", "999"]
    assert len({display_id for display_id, _ in shown}) == 1


def test_changes_are_shown_meanwhile_but_not_all(shown: list[tuple[str, str]]) -> None:
    state = ["0"]
    with live.LiveDisplay(lambda: {"text/plain": state[0]}, interval_s=0.02) as display:
        for number in range(100):
            state[0] = str(number)
            display.touch()
            time.sleep(0.001)
        time.sleep(0.05)
    assert 3 <= len(shown) <= 20
    assert shown[-1][1] == "99"


def test_what_did_not_change_is_not_sent_again(shown: list[tuple[str, str]]) -> None:
    with live.LiveDisplay(lambda: {"text/plain": "same"}, interval_s=0.01) as display:
        for _ in range(5):
            display.touch()
            time.sleep(0.01)
    assert len(shown) == 1


def test_the_last_state_is_shown_after_an_error_too(shown: list[tuple[str, str]]) -> None:
    state = ["running"]

    def fail() -> None:
        with live.LiveDisplay(lambda: {"text/plain": state[0]}):
            state[0] = "failed"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert shown[-1][1] == "failed"
