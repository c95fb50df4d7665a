from __future__ import annotations

from dockmagic.events import PullFinished, PullProgress
from dockmagic.widgets.pull import PullView

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def test_layers_have_bars() -> None:
    view = PullView()
    view(PullProgress(A, "complete", 31_000_000, 31_000_000))
    view(PullProgress(B, "downloading", 0, 0))
    view(PullProgress(B, "downloading", 12_000_000, 48_000_000))
    bundle = view.bundle()
    assert bundle["text/plain"].splitlines() == [
        "aaaaaaaaaaaa  complete  31 MB",
        "bbbbbbbbbbbb  downloading  12 MB of 48 MB",
        "1 of 2 layers",
    ]
    assert "width:25.0%" in bundle["text/html"]
    assert "width:100.0%" in bundle["text/html"]


def test_the_end() -> None:
    view = PullView()
    assert view.bundle()["text/plain"] == "looking the image up …"
    view(PullFinished("busybox:latest", A, updated=True))
    assert view.bundle()["text/plain"] == f"busybox:latest: pulled, {A}"
    view(PullFinished("busybox:latest", A, updated=False))
    assert "up to date" in view.bundle()["text/html"]


def test_a_failure_and_an_interrupt() -> None:
    view = PullView()
    view(PullProgress(A, "<b>", 1, 2))
    view.end(RuntimeError())
    assert view.bundle()["text/plain"].endswith("failed")
    assert "<b>" not in view.bundle()["text/html"]
    view.end(KeyboardInterrupt())
    assert view.bundle()["text/plain"].endswith("interrupted")
