"""Which containers are sampled; the sampler is made when it is needed first."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from dockmagic.runtime.samples import Reader

if TYPE_CHECKING:
    from dockmagic.runtime.sampler import Sampler
    from dockmagic.runtime.series import Series


class Watcher:
    """The sampler of an engine, made when the first container is watched: it brings numpy with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sampler: Sampler | None = None

    def watch(self, container_id: str, reader: Reader) -> Series:
        """Series of what the reader tells; the reader is the sampler's from now on."""
        from dockmagic.runtime.sampler import Sampler

        with self._lock:
            self._sampler = self._sampler or Sampler()
            return self._sampler.add(container_id, reader)

    def unwatch(self, container_id: str) -> None:
        """Stop sampling a container."""
        if self._sampler is not None:
            self._sampler.remove(container_id)

    def close(self) -> None:
        """Stop sampling everything."""
        if self._sampler is not None:
            self._sampler.close()
