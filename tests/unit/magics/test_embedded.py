from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dockmagic.errors import NotFound
from dockmagic.events import ContainerOutput, ContainerStarted, ContainerWarning, OnEvent
from dockmagic.magics import embedded
from dockmagic.magics.embedded import Embedded, Outlet
from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime.attach import Attachment

SIZE = ConsoleSize(24, 80)


class FakeWidget:
    """Keeps what is said to the page, and lets a test answer for it."""

    made: FakeWidget

    def __init__(self, title: str) -> None:
        self.title = title
        self.said: list[tuple[str, bytes]] = []
        self.closed = threading.Event()
        FakeWidget.made = self

    def hear(self, answer: Callable[[Mapping[str, Any]], None]) -> None:
        self.answer = answer

    def say(self, kind: str, data: bytes) -> None:
        self.said.append((kind, data))

    def bundle(self) -> dict[str, str]:
        return {"text/plain": self.title}

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of all states of the display."""
    shown: list[str] = []

    def note(bundle: dict[str, str], **_: Any) -> None:
        shown.append(bundle["text/plain"])

    monkeypatch.setattr(embedded, "display", note)
    monkeypatch.setattr(embedded, "update_display", note)
    monkeypatch.setattr(embedded, "TerminalWidget", FakeWidget)
    monkeypatch.setattr(embedded, "INTERVAL_S", 0.001)
    return shown


def test_keys_and_sizes_reach_the_process_and_its_last_screen_stays(shown: list[str]) -> None:
    asked: list[object] = []

    def follow(attachment: Attachment, on_event: OnEvent) -> int:
        assert attachment.tty
        assert attachment.stdin is not None
        assert attachment.controls is not None
        on_event(ContainerWarning("c", "no swap"))
        on_event(ContainerStarted("c", 7))
        typed = b""
        while not typed.endswith(b"\r"):
            typed += os.read(attachment.stdin, 100)
        asked.extend(attachment.controls.take())
        on_event(ContainerOutput("c", "stdout", b"got " + typed))
        return 3

    Embedded("title", follow, Attachment(), SIZE).open()
    widget = FakeWidget.made
    assert shown == ["title"]
    widget.answer({"kind": "ready", "rows": 10, "columns": 40})
    widget.answer({"kind": "close"})
    widget.answer({"kind": "nonsense"})
    widget.answer({"kind": "binary", "data": "\xff"})
    widget.answer({"kind": "input", "data": "é\r"})
    assert widget.closed.wait(10)
    widget.answer({"kind": "input", "data": "too late"})
    assert {"op": "resize", "height": 10, "width": 40} in asked
    assert {"op": "signal", "signal": signal.SIGHUP} in asked
    assert shown[1].splitlines() == ["WARNING: no swap", "got \ufffdé", "[ended with 3]"]
    assert "history" in [kind for kind, _ in widget.said]
    assert b"".join(data for kind, data in widget.said if kind == "output").endswith(b"got \xff\xc3\xa9\r")


def test_what_fails_to_start_fails_in_the_cell(shown: list[str]) -> None:
    def follow(attachment: Attachment, on_event: OnEvent) -> int:
        raise NotFound("container", "web", "gone")

    terminal = Embedded("title", follow, Attachment(), SIZE)
    with pytest.raises(NotFound):
        terminal.open()
    assert shown == []
    assert FakeWidget.made.closed.wait(10)


def test_what_ends_at_once_leaves_its_screen_only(shown: list[str]) -> None:
    Embedded("title", lambda attachment, on_event: 0, Attachment(), SIZE).open()
    assert shown == ["\n[ended with 0]"]


def test_who_writes_much_waits_for_the_page() -> None:
    going, sent = threading.Event(), bytearray()

    def send(kind: str, data: bytes) -> None:
        assert going.wait(10)
        sent.extend(data)

    outlet = Outlet(send)

    def write() -> None:
        for _ in range(50):
            outlet.write(b"x" * 10_000)

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(0.3)
    assert writer.is_alive()
    going.set()
    writer.join(10)
    outlet.close()
    assert len(sent) == 500_000
    assert len(outlet.history.last()) == embedded.HISTORY_BYTES
