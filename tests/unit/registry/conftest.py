"""A registry on a directory, and ways to ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dockmagic.events import OnEvent, ignore
from dockmagic.registry.access import Users
from dockmagic.registry.api import Api
from dockmagic.registry.content import Content
from dockmagic.registry.directory import Directory
from dockmagic.registry.server import Address, RegistryServer
from tests.conformance.registry_asking import Asking

Serve = Callable[..., Asking]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    directory = Directory(tmp_path / "registry")
    yield directory
    directory.close()


@pytest.fixture
def serve(directory: Directory) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(
            content: Content = directory,
            *,
            users: Users | None = None,
            on_event: OnEvent = ignore,
            read_only: bool = False,
            delete: bool = True,
        ) -> Asking:
            """A connection to a new server on this content."""
            api = Api(content, read_only=read_only, delete=delete)
            server = stack.enter_context(RegistryServer(api, Address(), users, on_event, lambda: None))
            ask = Asking(server.host)
            stack.callback(ask.close)
            return ask

        yield start
