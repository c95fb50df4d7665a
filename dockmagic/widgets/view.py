"""Which picture shows which events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from dockmagic.events import (
    BuildFinished,
    BuildOutput,
    BuildStep,
    BuildWarning,
    Event,
    FilesProgress,
    PullFinished,
    PullProgress,
    PullStarted,
    PushFinished,
    PushProgress,
    PushStarted,
)
from dockmagic.widgets.build import BuildView
from dockmagic.widgets.files import FilesView
from dockmagic.widgets.pull import PullView
from dockmagic.widgets.push import PushView


class View(Protocol):
    """The state of a picture: fed with events, and told how its cause ended."""

    def __call__(self, event: Event) -> None:
        """Take an event."""

    def end(self, error: BaseException | None) -> None:
        """Say that it is over; `error` is what ended it."""

    def bundle(self) -> Mapping[str, str]:
        """The picture, by MIME type."""

    def lines(self, columns: int, most: int | None = None) -> list[str]:
        """The picture as lines for a terminal that is so wide, at most so many where it can choose."""


_VIEWS: Final[Mapping[type, type[View]]] = {
    BuildStep: BuildView,
    BuildOutput: BuildView,
    BuildWarning: BuildView,
    BuildFinished: BuildView,
    PullStarted: PullView,
    PullProgress: PullView,
    PullFinished: PullView,
    PushStarted: PushView,
    PushProgress: PushView,
    PushFinished: PushView,
    FilesProgress: FilesView,
}


def view_of(event: Event) -> type[View] | None:
    """The kind of picture that the event belongs to; None where there is none."""
    return _VIEWS.get(type(event))
