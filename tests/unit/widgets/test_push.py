from __future__ import annotations

from dockmagic.events import PullFinished, PushFinished, PushProgress, PushStarted
from dockmagic.widgets.push import PushView
from dockmagic.widgets.view import view_of

LAYER = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
DIGEST = "sha256:" + "c" * 64


def text(view: PushView) -> str:
    return view.bundle()["text/plain"]


def test_a_push_as_it_goes() -> None:
    view = PushView()
    view(PushStarted("r.example/app"))
    view(PushProgress(LAYER, "uploading", 1_000_000, 4_000_000))
    view(PushProgress(OTHER, "mounted", 5, 5, "from base"))
    lines = text(view).splitlines()
    assert lines[0].split() == ["aaaaaaaaaaaa", "uploading", "1", "MB", "of", "4", "MB"]
    assert lines[1].split()[:2] == ["bbbbbbbbbbbb", "mounted"]
    assert lines[2] == "1 of 2 layers to r.example/app"
    assert "width:25.0%" in view.bundle()["text/html"]
    assert "width:100.0%" in view.bundle()["text/html"]


def test_the_end() -> None:
    view = PushView()
    view(PushStarted("r.example/app"))
    view(PushProgress(LAYER, "pushed", 4, 4))
    view(PushFinished("r.example/app:1", DIGEST, 400))
    view.end()
    assert text(view).splitlines()[-1] == f"r.example/app:1: pushed, {DIGEST}"
    view.end(KeyboardInterrupt())
    assert text(view).splitlines()[-1] == f"r.example/app:1: pushed, {DIGEST}; interrupted"
    view.end(ValueError())
    assert text(view).endswith("failed")


def test_which_events_are_its_own() -> None:
    assert view_of(PushStarted("a")) is view_of(PushFinished("a", DIGEST, 1)) is PushView
    view = PushView()
    view(PullFinished("app", DIGEST, updated=True))
    assert text(view) == "0 of 0 layers to "
