"""The registries that an engine serves. Cheap to import: the server is loaded with the first of them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dockmagic.errors import InvalidOption
from dockmagic.events import OnEvent, ignore
from dockmagic.image.store import ImageStore

if TYPE_CHECKING:
    from dockmagic.registry.server import RegistryServer


class RegistryService:
    """Starts registries and knows those that are served; `close` stops them."""

    def __init__(self, root: Path, store: ImageStore) -> None:
        """`root` is where a registry keeps what is pushed, unless another directory is named."""
        self._root = root
        self._store = store
        self._served: list[RegistryServer] = []
        self._lock = threading.Lock()

    def serve(
        self,
        port: int = 0,
        bind: str = "127.0.0.1",
        *,
        directory: Path | None = None,
        from_store: bool = False,
        read_only: bool = False,
        delete: bool = True,
        auth: str = "",
        certificate: Path | None = None,
        key: Path | None = None,
        on_event: OnEvent = ignore,
    ) -> RegistryServer:
        """Serve a registry until it is stopped: one that can be pushed to, or `from_store` the images that are here.

        Port 0 is any free one. `auth` is USER:PASSWORD or an htpasswd file. `on_event` hears of every request, in the
        thread that answered it. Raises InvalidOption, StoreError, and Conflict where the directory is served already.
        """
        from dockmagic.registry.access import read_users
        from dockmagic.registry.api import Api
        from dockmagic.registry.directory import Directory
        from dockmagic.registry.server import Address, RegistryServer
        from dockmagic.registry.shared import Shared

        if from_store and directory is not None:
            raise InvalidOption("a registry has the store's images or those of a directory; choose one of the two")
        users = read_users(auth) if auth else None
        address = Address(bind, port, certificate, key)
        if from_store:
            return self._known(RegistryServer(Api(Shared(self._store)), address, users, on_event, _nothing))
        content = Directory(directory or self._root)
        try:
            api = Api(content, read_only=read_only, delete=delete)
            return self._known(RegistryServer(api, address, users, on_event, content.close))
        except BaseException:
            content.close()
            raise

    @property
    def served(self) -> tuple[RegistryServer, ...]:
        """The registries that are served now, oldest first."""
        with self._lock:
            self._served = [server for server in self._served if not server.stopped]
            return tuple(self._served)

    def close(self) -> None:
        """Stop all of them; idempotent."""
        for server in self.served:
            server.stop()

    def _known(self, server: RegistryServer) -> RegistryServer:
        with self._lock:
            self._served.append(server)
        return server


def _nothing() -> None:
    """There is nothing to let go of a store."""
