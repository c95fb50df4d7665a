from __future__ import annotations

import io
import time

import pytest

from dockmagic.events import Event, FilesProgress
from dockmagic.image.meter import Meter, MeteredSink, MeteredSource


def test_short_work_is_not_mentioned_and_long_work_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    events: list[Event] = []
    meter = Meter("copying", events.append)
    for now_s in (100.5, 101.1, 101.2, 101.3, 101.5):  # noqa: B007 - the clock reads it
        meter.add(10)
    assert events == [FilesProgress("copying", 20), FilesProgress("copying", 50)]


def test_streams_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", iter(range(0, 100, 10)).__next__)
    events: list[Event] = []
    meter = Meter("x", events.append)
    out = io.BytesIO()
    assert MeteredSink(out, meter).write(b"abc") == 3
    assert MeteredSource(io.BytesIO(b"defg"), meter).read() == b"defg"
    assert out.getvalue() == b"abc"
    assert events == [FilesProgress("x", 3), FilesProgress("x", 7)]
