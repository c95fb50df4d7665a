from __future__ import annotations

import io
from typing import Any

import pytest

from dockmagic.commands.output import CappedStreams
from dockmagic.magics.overflow import Overflow
from dockmagic.widgets import live


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Every state of the display."""
    shown: list[dict[str, str]] = []

    def note(bundle: dict[str, str], **_: Any) -> None:
        shown.append(bundle)

    monkeypatch.setattr(live, "display", note)
    monkeypatch.setattr(live, "update_display", note)
    return shown


def test_what_fits_needs_no_display(shown: list[dict[str, str]]) -> None:
    streams = CappedStreams(io.StringIO(), io.StringIO(), silent=True)
    overflow = Overflow(streams)
    streams.write("stdout", b"hi\n")
    overflow.follow()
    overflow.close()
    assert shown == []


def test_more_is_shown_by_its_last_lines_and_in_the_end_as_a_gap(shown: list[dict[str, str]]) -> None:
    out = io.StringIO()
    streams = CappedStreams(out, io.StringIO(), silent=True)
    streams.hint = "logs web shows all"
    overflow = Overflow(streams)
    for number in range(40_000):
        streams.write("stdout", b"<line> %d\n" % number)
    for _ in range(3):
        overflow.follow()
    assert "&lt;line&gt; 39999" in shown[0]["text/html"]
    assert shown[0]["text/plain"].splitlines()[-10:] == [f"<line> {number}" for number in range(39_990, 40_000)]
    overflow.close()
    streams.close()
    (gap,) = shown[-1]["text/plain"].splitlines()
    assert gap.endswith("left out; logs web shows all …]")
    assert out.getvalue().endswith("<line> 39999\n")
    assert out.getvalue().count("\n") + int(gap.split()[1].replace(",", "")) == 40_000
