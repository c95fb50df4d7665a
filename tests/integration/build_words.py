"""The build command, word for word, on a real engine."""

from __future__ import annotations

from pathlib import Path

from dockmagic.commands.build import Built
from dockmagic.commands.catalogue import find
from dockmagic.engine import Engine
from dockmagic.events import BuildOutput, BuildWarning
from dockmagic.image.store import Image
from tests.unit.commands.fakes import FakeConsole


def build(engine: Engine, *words: str) -> tuple[Image, FakeConsole]:
    """The image of `docker build` with these words, and the console that it was shown on."""
    command, name, rest = find(("build", *words))
    console = FakeConsole()
    result = command.run(engine, command.parser(name).parse_words(rest), console)
    assert isinstance(result, Built)
    return result.image, console


def said(console: FakeConsole) -> str:
    """What the steps wrote to standard output."""
    outputs = [event for event in console.events if isinstance(event, BuildOutput)]
    return b"".join(event.data for event in outputs if event.stream == "stdout").decode()


def warned(console: FakeConsole) -> list[str]:
    """The warnings."""
    return [event.message for event in console.events if isinstance(event, BuildWarning)]


def dockerfile(directory: Path, text: str, name: str = "Dockerfile") -> Path:
    """The directory, made, with a Dockerfile in it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(text)
    return directory
