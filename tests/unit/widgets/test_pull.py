from __future__ import annotations

from dockmagic.events import PullFinished, PullProgress, PullStarted
from dockmagic.widgets.pull import PullView

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def test_layers_have_bars() -> None:
    view = PullView()
    view(PullProgress(A, "complete", 31_000_000, 31_000_000))
    view(PullProgress(B, "downloading", 0, 0))
    view(PullProgress(B, "downloading", 12_000_000, 48_000_000))
    bundle = view.bundle()
    assert bundle["text/plain"].splitlines() == [
        "aaaaaaaaaaaa: Pull complete",
        f"bbbbbbbbbbbb: Downloading [{'=' * 12}>{' ' * 37}]  12MB/48MB",
        "1 of 2 layers · 43 MB of 79 MB",
    ]
    assert "width:25.0%" in bundle["text/html"]
    assert "width:100.0%" in bundle["text/html"]


def test_the_end() -> None:
    times = iter([10.0, 12.5])
    view = PullView(lambda: next(times))
    view(PullStarted("latest", "library/busybox"))
    assert view.bundle()["text/plain"] == "latest: looking the image up …"
    view(PullFinished("busybox:latest", A, updated=False))
    assert view.bundle()["text/plain"] == f"Digest: {A}\nStatus: Image is up to date for busybox:latest"
    view(PullProgress(B, "downloading", 0, 5_000))
    view(PullProgress(B, "complete", 5_000, 5_000))
    view(PullFinished("busybox:latest", A, updated=True))
    assert view.lines(80)[3:] == [
        f"Digest: {A}",
        "Status: Downloaded newer image for busybox:latest · 5 kB in 2.5 s",
    ]
    assert "Downloaded newer image" in view.bundle()["text/html"]


def test_a_failure_and_an_interrupt() -> None:
    view = PullView()
    view(PullProgress(A, "<b>\x1b[2J", 1, 2))
    view.end(RuntimeError())
    assert view.bundle()["text/plain"].endswith("failed")
    assert "<b>" not in view.bundle()["text/html"]
    assert "\x1b" not in str(view.bundle())
    view.end(KeyboardInterrupt())
    assert view.bundle()["text/plain"].endswith("interrupted")
