"""A pull as it goes: a bar for each layer. PullView takes events and gives the picture as HTML and as text."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from html import escape

from dockmagic.events import Event, PullFinished, PullProgress, PullStarted, PushProgress
from dockmagic.widgets.style import BLUE, BOX, FAINT, GREEN, MONO, NO_MATH
from dockmagic.widgets.text import size_text

DONE = {"exists", "complete", "pushed", "mounted", "skipped"}
_MOVING = {"downloading", "uploading"}
Layer = PullProgress | PushProgress


class PullView:
    """The state of one pull, maybe for a build's FROM; any thread may call any method."""

    def __init__(self) -> None:
        self._name = ""
        self._layers: dict[str, PullProgress] = {}
        self._finished: PullFinished | None = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take an event of the pull; others are passed over."""
        with self._lock:
            if isinstance(event, PullStarted):
                self._name, self._finished = event.name, None
            elif isinstance(event, PullProgress):
                self._layers[event.digest] = event
            elif isinstance(event, PullFinished):
                self._finished = event

    def end(self, error: BaseException | None = None) -> None:
        """Say that the pull is over; `error` is what ended it."""
        with self._lock:
            self._error = error

    def bundle(self) -> dict[str, str]:
        """The picture, by MIME type."""
        with self._lock:
            return {"text/html": self._html(), "text/plain": self._text()}

    def _summary(self) -> str:
        """The last line: how far the pull is, or what it came to."""
        if self._finished is not None:
            news = "pulled" if self._finished.updated else "up to date"
            return f"{self._finished.reference}: {news}, {self._finished.digest}"
        if self._error is not None:
            return "interrupted" if isinstance(self._error, KeyboardInterrupt) else "failed"
        done = sum(layer.status in DONE for layer in self._layers.values())
        name = f"{self._name}: " if self._name else ""
        return f"{name}{done} of {len(self._layers)} layers" if self._layers else f"{name}looking the image up …"

    def _text(self) -> str:
        return layers_text(self._layers.values(), self._summary())

    def _html(self) -> str:
        return layers_html(self._layers.values(), self._summary())


def layers_text(layers: Iterable[Layer], summary: str) -> str:
    """A line for each layer, and a last one."""
    lines = [f"{_short(layer.digest)}  {layer.status}  {_size(layer)}".rstrip() for layer in layers]
    return "\n".join([*lines, summary])


def layers_html(layers: Iterable[Layer], summary: str) -> str:
    """A bar for each layer, and a last line."""
    rows = "".join(_html_row(layer) for layer in layers)
    last = f'<div style="padding:5px 12px;background:var(--jp-layout-color2,#f8f9fa)">{escape(summary)}</div>'
    return f'<div {NO_MATH} style="{BOX}">{rows}{last}</div>'


def _short(digest: str) -> str:
    return digest.partition(":")[2][:12]


def _share(layer: Layer) -> float:
    """How much of the layer has come or gone, 0 to 1."""
    if layer.status in DONE:
        return 1.0
    return min(layer.current_bytes / layer.total_bytes, 1.0) if layer.total_bytes else 0.0


def _size(layer: Layer) -> str:
    """The bytes that matter: those so far of all, or all."""
    if not layer.total_bytes:
        return ""
    so_far = f"{size_text(layer.current_bytes)} of " if layer.status in _MOVING else ""
    return so_far + size_text(layer.total_bytes)


def _html_row(layer: Layer) -> str:
    """A layer's row: digest, bar, status, size."""
    color = GREEN if layer.status in DONE else BLUE
    return (
        '<div style="display:grid;grid-template-columns:110px 1fr 100px 130px;column-gap:10px;padding:3px 12px;'
        f'align-items:center"><span style="{MONO}">{escape(_short(layer.digest))}</span>'
        '<span style="background:var(--jp-border-color2,#dadce0);border-radius:3px;height:6px">'
        f'<span style="display:block;width:{_share(layer):.1%};height:6px;border-radius:3px;background:{color}"></span>'
        f'</span><span style="{FAINT}">{escape(layer.status)}</span>'
        f'<span style="{FAINT};text-align:right">{_size(layer)}</span></div>'
    )
