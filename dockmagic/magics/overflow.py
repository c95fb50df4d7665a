"""What of a long output a notebook shows meanwhile: its last lines and how much is left out, renewed in place."""

from __future__ import annotations

from html import escape
from typing import Final

from dockmagic.commands.output import CappedStreams
from dockmagic.widgets.live import Bundle, LiveDisplay
from dockmagic.widgets.style import FAINT, MONO, NO_MATH
from dockmagic.widgets.text import plain_line

LINES: Final = 10
WIDTH: Final = 200


class Overflow:
    """Opens a display as soon as the streams have more than is shown at once; at the end it says what was left out."""

    def __init__(self, streams: CappedStreams) -> None:
        self._streams = streams
        self._display: LiveDisplay | None = None
        self._ended = False

    def follow(self) -> None:
        """See whether there is more to show; in the cell's thread."""
        if self._display is not None:
            self._display.touch()
        elif self._streams.full:
            self._display = LiveDisplay(self._bundle)
            self._display.__enter__()

    def close(self) -> None:
        """End the display, if there is one, before the end of the output follows it."""
        self._ended = True
        if self._display is not None:
            self._display.__exit__(None, None, None)

    def _bundle(self) -> Bundle:
        text = self._streams.gap() or "[…]"
        lines = [] if self._ended else self._streams.latest(LINES).splitlines()
        shown = "\n".join([text, *(plain_line(line)[:WIDTH] for line in lines)])
        html = f'<pre {NO_MATH} style="{MONO};{FAINT};font-size:12px;margin:0">{escape(shown)}</pre>'
        return {"text/plain": shown, "text/html": html}
