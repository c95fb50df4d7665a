from __future__ import annotations

from dockmagic.events import PullFinished, PushFinished, PushProgress, PushStarted
from dockmagic.widgets.push import PushView
from dockmagic.widgets.view import view_of

A, B, C = ("sha256:" + letter * 64 for letter in "abc")


def test_a_push_as_it_goes_and_its_end() -> None:
    view = PushView()
    view(PushStarted("r.example/app"))
    view(PushProgress(A, "mounted", 5, 5, "from library/base"))
    view(PushProgress(B, "uploading", 1_000_000, 4_000_000))
    assert view.lines(80) == [
        "aaaaaaaaaaaa: Mounted from library/base",
        f"bbbbbbbbbbbb: Pushing     [{'=' * 10}>{' ' * 31}]  1MB/4MB",
        "r.example/app: 1 of 2 layers · 1 MB of 4 MB",
    ]
    view(PushProgress(B, "pushed", 4_000_000, 4_000_000))
    view(PushFinished("r.example/app:1", C, 400))
    assert view.lines(80)[2].startswith(f"1: digest: {C} size: 400 · 4 MB in ")
    view.end(KeyboardInterrupt())
    assert view.lines(80)[2:] == [f"1: digest: {C} size: 400", "interrupted"]


def test_which_events_are_its_own() -> None:
    assert view_of(PushStarted("a")) is view_of(PushProgress(A, "waiting", 0, 1)) is PushView
    assert view_of(PushFinished("a", C, 1)) is PushView
    view = PushView()
    view(PullFinished("app", C, updated=True))
    assert view.lines(80) == ["looking the image up …"]
