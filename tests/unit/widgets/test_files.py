from __future__ import annotations

import pytest

from dockmagic.events import ContainerWarning, FilesProgress
from dockmagic.widgets.files import FilesView
from dockmagic.widgets.view import view_of


def test_how_far_it_is() -> None:
    view = FilesView()
    view(FilesProgress("copying c:/<a>", 1_214_000))
    view(ContainerWarning("c", "of something else"))
    assert view.bundle()["text/plain"] == "copying c:/<a>: 1.21 MB"
    assert view.lines(80) == ["copying c:/<a>: 1.21 MB"]
    assert "c:/&lt;a&gt;" in view.bundle()["text/html"]
    assert view_of(FilesProgress("x", 1)) is FilesView


@pytest.mark.parametrize(
    ("error", "word"), [(None, "done"), (KeyboardInterrupt(), "interrupted"), (OSError(), "failed")]
)
def test_how_it_ended(error: BaseException | None, word: str) -> None:
    view = FilesView()
    view(FilesProgress("copying", 1))
    view.end(error)
    assert view.bundle()["text/plain"] == f"copying: {word}"
