"""Flags of run and create about the image that is used, and about what is noted of the container.

Source: docker run's reference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dockmagic.commands.command import CommandParser, Console, Namespace, typed
from dockmagic.commands.environment import file_entries, pairs
from dockmagic.errors import InvalidOption
from dockmagic.events import ContainerCreated, ContainerOutput, ContainerWarning, Event, OnEvent
from dockmagic.image.platform import platform_option

_PULL: Final = ("always", "missing", "never")


def add_image_flags(parser: CommandParser) -> None:
    """Add when the image is fetched, and for which platform."""
    group = parser.add_argument_group("its image")
    group.add_argument(
        "--pull", default="missing", type=typed(_policy), metavar="always|missing|never", help="when it is fetched"
    )
    group.add_argument("-q", "--quiet", action="store_true", help="don't show how it is fetched")
    group.add_argument(
        "--platform", default=os.environ.get("DOCKER_DEFAULT_PLATFORM", ""), type=typed(_platform), metavar="OS/ARCH",
        help="platform of the image (this machine's, or $DOCKER_DEFAULT_PLATFORM)",
    )  # fmt: skip


def _policy(text: str) -> str:
    """A time to pull at. Raises InvalidOption."""
    if text not in _PULL:
        raise InvalidOption(f"invalid pull option: {text!r}: must be one of {', '.join(map(repr, _PULL))}")
    return text


def _platform(text: str) -> str:
    """A platform, unchanged. Raises InvalidOption."""
    if text:
        platform_option(text)
    return text


def add_notes(parser: CommandParser) -> None:
    """Add labels, annotations, and the file that takes the id."""
    group = parser.add_argument_group("notes")
    group.add_argument("-l", "--label", action="append", default=[], metavar="NAME=VALUE", help="add a label")
    group.add_argument("--label-file", action="append", default=[], metavar="FILE", help="read labels from a file")
    group.add_argument(
        "--annotation", action="append", default=[], metavar="NAME=VALUE", help="add an annotation of its OCI spec"
    )
    group.add_argument("--cidfile", default="", metavar="FILE", help="write its id to a file that isn't there yet")


def notes(args: Namespace) -> dict[str, Any]:
    """Labels and annotations; a label given by flag wins over one from a file, which needs a value there.

    Raises InvalidOption.
    """
    lines = [entry for name in args.label_file for entry in file_entries(name, "--label-file")]
    from_files = [entry for entry in lines if "=" in entry]
    return {"labels": pairs([*from_files, *args.label]), "annotations": pairs(args.annotation)}


@contextmanager
def watching(console: Console, args: Namespace) -> Iterator[OnEvent]:
    """The console's receiver of events, with --quiet of the container's only; the id goes to the --cidfile.

    Raises InvalidOption where that file exists, or can't be made; it goes again where no container comes to be.
    """
    file = _claim(Path(args.cidfile)) if args.cidfile else None
    try:
        with console.watching() as show:

            def on_event(event: Event) -> None:
                if isinstance(event, ContainerCreated) and file is not None:
                    file.write_text(event.container_id)
                if not args.quiet or isinstance(event, ContainerOutput | ContainerWarning):
                    show(event)

            yield on_event
    finally:
        if file is not None and not file.stat().st_size:
            file.unlink()


def _claim(path: Path) -> Path:
    """Make an empty file. Raises InvalidOption where there is one."""
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        what = "container ID file found, make sure the other container isn't running or delete"
        raise InvalidOption(f"--cidfile: {what} {path}") from None
    except OSError as error:
        raise InvalidOption(f"--cidfile {path}: {error.strerror}") from error
    return path
