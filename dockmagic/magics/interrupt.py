"""An interrupted cell: one line instead of a traceback, and the cells after it don't run."""

from __future__ import annotations


class Interrupted(KeyboardInterrupt):
    """The user interrupted a command; what ran in the foreground has been stopped."""

    def _render_traceback_(self) -> list[str]:
        """Text that IPython shows instead of a traceback."""
        return [f"Interrupted: {self}"]
