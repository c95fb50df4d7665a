"""What the magics of one shell share: the shell, and the engine, made at its first use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dockmagic.commands.doors import open_engine

if TYPE_CHECKING:
    from dockmagic.engine import Engine


class Session:
    """One shell's engine. `environ` says where its state is; it is read when the engine is made."""

    def __init__(self, shell: Any, environ: Mapping[str, str] = os.environ) -> None:
        self.shell = shell
        self._environ = environ
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine; made now, if it wasn't yet."""
        if self._engine is None:
            self._engine = open_engine(self._environ)
        return self._engine

    @property
    def in_notebook(self) -> bool:
        """Whether a front-end shows rich output, rather than a terminal."""
        return hasattr(self.shell, "kernel")

    @property
    def attended(self) -> bool:
        """Whether somebody sits at a front-end with widgets: programs that run notebooks can't be asked anything."""
        return bool(getattr(getattr(self.shell, "kernel", None), "_allow_stdin", False))

    def names(self, local_names: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Python names that a line may use: the notebook's, and those of the function that the line stands in."""
        return {**self.shell.user_ns, **(local_names or {})}

    def close(self) -> None:
        """Close the engine, if there is one; idempotent."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
