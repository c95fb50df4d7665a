"""Run a command line on a fake engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from dockmagic.commands.catalogue import find
from dockmagic.engine import Engine
from tests.unit.commands.fakes import FakeConsole, FakeEngine


def call(engine: FakeEngine, *words: str, console: FakeConsole | None = None) -> Any:
    """What the command returns."""
    command, name, rest = find(words)
    args = command.parser(name).parse_words(rest)
    return command.run(cast("Engine", engine), args, console or FakeConsole())


@contextmanager
def reading(text: bytes) -> Iterator[FakeConsole]:
    """A console whose input is this text."""
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    try:
        yield FakeConsole(stdin=reader)
    finally:
        os.close(reader)
