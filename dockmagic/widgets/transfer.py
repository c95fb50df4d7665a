"""Layers on their way from or to somewhere: a bar for each, how fast they are, and how long they will take.

Pictures of pull and push are made of it, as HTML and as lines of text.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import ClassVar, Final

from dockmagic.errors import printable
from dockmagic.events import Event, PullProgress, PushProgress
from dockmagic.widgets.style import AMBER, BAND, BLUE, BOX, ELLIPSIS, FAINT, GREEN, MONO, NO_MATH
from dockmagic.widgets.text import plural, size_text

Layer = PullProgress | PushProgress
DONE: Final = frozenset({"exists", "complete", "loaded", "pushed", "mounted", "skipped"})
_NOT_MOVED: Final = frozenset({"exists", "mounted", "skipped"})
_MOVING: Final = frozenset({"downloading", "uploading", "retrying"})
_WITH_BAR: Final = frozenset({"downloading", "uploading", "extracting"})
_STILL: Final = frozenset({"waiting", "preparing"})
_RETRYING: Final = "retrying"
_WINDOW_S: Final = 5.0  # over which speed is told
_SHORTEST_S: Final = 0.5  # in which it can be told
_LONGEST_BAR, _SHORTEST_BAR = 50, 10
_WORD_WIDTH: Final = 11
_COLUMNS: Final = 100  # of a picture that isn't in a terminal


class Layers:
    """The layers of a transfer; `words` are what to call a layer's status. Its user sees to threads."""

    def __init__(self, words: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._words = words
        self._clock = clock
        self._layers: dict[str, Layer] = {}
        self._samples: deque[tuple[float, int]] = deque()
        self._began_s: float | None = None

    def __len__(self) -> int:
        """Number of layers."""
        return len(self._layers)

    @property
    def all_done(self) -> bool:
        """Whether there is nothing to wait for."""
        return all(layer.status in DONE for layer in self._layers.values())

    def take(self, layer: Layer) -> None:
        """Take what a layer has come to."""
        self._layers[layer.digest] = layer
        if self._began_s is None and layer.status in _MOVING:
            self._began_s = self._clock()

    def so_far(self) -> str:
        """How far all of them are, how fast, and how long it will take: "1 of 3 layers · 4 MB of 9 MB · 2 MB/s"."""
        done = sum(layer.status in DONE for layer in self._layers.values())
        parts = [f"{done} of {plural(len(self._layers), 'layer')}"]
        moved, total = self._moved(), self._to_move()
        if self._began_s is not None and moved < total:
            parts.append(f"{size_text(moved)} of {size_text(total)}")
            speed = self._speed(moved)
            if speed:
                parts += [f"{size_text(speed)}/s", f"{_span_text((total - moved) / speed)} left"]
        return " · ".join(parts)

    def in_all(self) -> str:
        """What was moved and in what time: " · 9 MB in 4.5 s"; "" where nothing was."""
        if self._began_s is None:
            return ""
        return f" · {size_text(self._moved())} in {_span_text(self._clock() - self._began_s)}"

    def lines(self, columns: int, most: int | None = None) -> list[str]:
        """A line for each layer, no wider than a terminal; of more than `most` those that something happens to."""
        layers = list(self._layers.values())
        if most is None or len(layers) <= most:
            return [self._line(layer, columns) for layer in layers]
        shown = [layer for layer in layers if layer.status not in DONE | _STILL][: max(most - 1, 0)]
        counts = Counter(layer.status for layer in layers if layer not in shown)
        others = ", ".join(f"{count} {self._word(status).lower()}" for status, count in counts.items())
        return [*(self._line(layer, columns) for layer in shown), f"… and {others}"[: columns - 1]]

    def html(self, ending: Sequence[str]) -> str:
        """A row with a bar for each layer, and the last lines."""
        rows = "".join(self._html_row(layer) for layer in self._layers.values())
        last = "<br>".join(escape(line) for line in ending)
        return f'<div {NO_MATH} style="{BOX}">{rows}<div style="padding:5px 12px;{BAND}">{last}</div></div>'

    def _word(self, status: str) -> str:
        return self._words.get(status, printable(status))

    def _moved(self) -> int:
        """Bytes that have come or gone."""
        return sum(_moved(layer) for layer in self._layers.values())

    def _to_move(self) -> int:
        """Bytes that have to, in all."""
        return sum(layer.total_bytes for layer in self._layers.values() if layer.status not in _NOT_MOVED)

    def _speed(self, moved: int) -> float:
        """Bytes a second over the last few seconds, 0 where it can't be told yet."""
        now_s = self._clock()
        while self._samples and (now_s - self._samples[0][0] > _WINDOW_S or self._samples[0][1] > moved):
            self._samples.popleft()
        self._samples.append((now_s, moved))
        first_s, first = self._samples[0]
        return (moved - first) / (now_s - first_s) if now_s - first_s >= _SHORTEST_S else 0.0

    def _line(self, layer: Layer, columns: int) -> str:
        """A layer as docker pull shows it: "3f1a…: Downloading [===>   ]  12.3MB/45MB"."""
        start = f"{_short(layer.digest)}: {self._word(layer.status)}"
        if layer.status not in _WITH_BAR or not layer.total_bytes:
            return f"{start} {printable(layer.detail)}".rstrip()[: columns - 1]
        start = f"{_short(layer.digest)}: {self._word(layer.status):<{_WORD_WIDTH}} "
        so_far = f" {size_text(layer.current_bytes)}/{size_text(layer.total_bytes)}".replace(" ", "")
        width = min(_LONGEST_BAR, columns - 1 - len(start) - len("[]  ") - len(so_far))
        bar = f"[{_bar(_share(layer), width)}]  " if width >= _SHORTEST_BAR else ""
        return f"{start}{bar}{so_far}"[: columns - 1]

    def _html_row(self, layer: Layer) -> str:
        """A layer's row: digest, bar, status, size; and beneath it, why it has to be tried again."""
        color = _color(layer)
        status = f"color:{color}" if layer.status == _RETRYING else FAINT
        detail = printable(layer.detail)
        more = (
            f'<span style="grid-column:2/5;{FAINT};font-size:12px;{ELLIPSIS}" title="{escape(detail)}">'
            f"{escape(detail)}</span>"
        )
        return (
            '<div style="display:grid;grid-template-columns:110px 1fr 130px 140px;column-gap:10px;padding:3px 12px;'
            f'align-items:center"><span style="{MONO}">{escape(_short(layer.digest))}</span>'
            '<span style="background:var(--jp-border-color2,#dadce0);border-radius:3px;height:6px">'
            f'<span style="display:block;width:{_share(layer):.1%};height:6px;border-radius:3px;background:{color}">'
            f'</span></span><span style="{status}">{escape(self._word(layer.status))}</span>'
            f'<span style="{FAINT};text-align:right">{_size(layer)}</span>{more if detail else ""}</div>'
        )


class TransferView(ABC):
    """The state of a transfer: fed with events, and told how it ended; any thread may call any method."""

    words: ClassVar[Mapping[str, str]]
    progress: ClassVar[type[Layer]]

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._layers = Layers(self.words, clock)
        self._subject = ""  # what is under way, where somebody says so
        self._in_all = ""
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take an event of the transfer; others are passed over."""
        with self._lock:
            if isinstance(event, self.progress):
                self._layers.take(event)
            elif self._hear(event):
                self._in_all = self._layers.in_all()

    def end(self, error: BaseException | None = None) -> None:
        """Say that it is over; `error` is what ended it."""
        with self._lock:
            self._error = error

    def bundle(self) -> dict[str, str]:
        """The picture, by MIME type."""
        with self._lock:
            ending = self._ending()
            text = "\n".join([*self._layers.lines(_COLUMNS), *ending])
            return {"text/html": self._layers.html(ending), "text/plain": text}

    def lines(self, columns: int, most: int | None = None) -> list[str]:
        """The picture as lines for a terminal, at most so many."""
        with self._lock:
            ending = self._ending()
            return [*self._layers.lines(columns, most and most - len(ending)), *ending]

    @abstractmethod
    def _hear(self, event: Event) -> bool:
        """Take an event that isn't a layer's; whether it says that something is finished."""

    @abstractmethod
    def _results(self) -> list[str]:
        """What is finished, a line each."""

    def _ending(self) -> list[str]:
        """The last lines: what it came to, or how far it is."""
        results = self._results()
        if self._error is not None:
            return [*results, "interrupted" if isinstance(self._error, KeyboardInterrupt) else "failed"]
        if results and self._layers.all_done:
            return [*results[:-1], f"{results[-1]}{self._in_all}"]
        so_far = self._layers.so_far() if len(self._layers) else "looking the image up …"
        return [*results, f"{self._subject}: {so_far}" if self._subject else so_far]


def _short(digest: str) -> str:
    return digest.partition(":")[2][:12]


def _color(layer: Layer) -> str:
    if layer.status in DONE:
        return GREEN
    return AMBER if layer.status == _RETRYING else BLUE


def _moved(layer: Layer) -> int:
    """How many of a layer's bytes have come or gone."""
    if layer.status in _MOVING:
        return min(layer.current_bytes, layer.total_bytes)
    return 0 if layer.status in _STILL | _NOT_MOVED else layer.total_bytes


def _share(layer: Layer) -> float:
    """How much of the layer is done, 0 to 1."""
    if layer.status in DONE:
        return 1.0
    return min(layer.current_bytes / layer.total_bytes, 1.0) if layer.total_bytes else 0.0


def _bar(share: float, width: int) -> str:
    """A bar of this many characters.

    >>> _bar(0.5, 10), _bar(1.0, 4)
    ('=====>    ', '====')
    """
    filled = int(share * width)
    return ("=" * filled + ">" if filled < width else "=" * width).ljust(width)


def _size(layer: Layer) -> str:
    """The bytes that matter: those so far of all, or all."""
    if not layer.total_bytes:
        return ""
    so_far = f"{size_text(layer.current_bytes)} of " if layer.status in _MOVING else ""
    return so_far + size_text(layer.total_bytes)


def _span_text(seconds: float) -> str:
    """A span of time, no more exact than it helps.

    >>> _span_text(3.14159), _span_text(42), _span_text(150), _span_text(7300)
    ('3.1 s', '42 s', '2 min 30 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
