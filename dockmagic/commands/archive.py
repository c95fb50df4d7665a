"""Commands that write images to files and read them back: save, load. Source: Docker's reference."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.progress_style import ProgressStyle
from dockmagic.commands.results import Names
from dockmagic.errors import InvalidOption
from dockmagic.events import ignore
from dockmagic.image.whole import whole_file

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.image.load import Loaded
    from dockmagic.image.streams import Sink

_TO_TERMINAL = "cowardly refusing to {} to a terminal. Use the -o flag or redirect"
_FROM_NOTHING = "requested {} from stdin, but stdin is empty; name the file{}"


def _save_arguments(parser: CommandParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write (standard output)")
    parser.add_argument("--platform", default="", metavar="OS/ARCH", help="refuse images of another platform")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="name or id; without a tag, all tags of that name")


def _save(engine: Engine, args: Namespace, console: Console) -> Names:
    """Write images to an archive."""
    with output(args.output, console) as out:
        engine.images.save(args.images, out, platform=args.platform)
    return Names()


@contextmanager
def output(path: str | None, console: Console, verb: str = "save") -> Iterator[Sink]:
    """Where an archive goes: standard output, or a file that has its name only once it is whole.

    `verb` is what messages say. Raises InvalidOption for a terminal, a notebook's cell, and a file that can't be made.
    """
    if path is None:
        if console.stdout is None or os.isatty(console.stdout):
            raise InvalidOption(_TO_TERMINAL.format(verb))
        with os.fdopen(console.stdout, "wb", buffering=0, closefd=False) as out:
            yield _Whole(out)
        return
    with whole_file(Path(path)) as file:
        yield file


class _Whole:
    """A pipe that takes all of what is written to it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        """Write all of the bytes, in as many pieces as it takes."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._out.write(rest) :]
        return len(data)


def _load_arguments(parser: CommandParser) -> None:
    parser.add_argument("-i", "--input", metavar="FILE", help="archive, or directory of an OCI layout (standard input)")
    parser.add_argument("--platform", default="", metavar="OS/ARCH", help="which image of an index to take")
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def _load(engine: Engine, args: Namespace, console: Console) -> Names:
    """Take images out of an archive; a line for each name, or for the id of an image that has none."""
    with _source(args.input, console) as source:
        if args.quiet:
            loaded = engine.images.load(source, platform=args.platform, on_event=ignore)
        else:
            with console.watching(ProgressStyle.AUTO) as on_event:
                loaded = engine.images.load(source, platform=args.platform, on_event=on_event)
    return Names(line for item in loaded for line in _lines(item))


@contextmanager
def _source(path: str | None, console: Console) -> Iterator[BinaryIO | Path]:
    """The archive to read: a file, a layout's directory, or standard input. Raises InvalidOption."""
    if path is not None and Path(path).is_dir():
        yield Path(path)
        return
    if path is None:
        with standard_input(console, "load", " with -i FILE") as stream:
            yield stream
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidOption(f"-i {path}: {error.strerror}") from error
    with os.fdopen(fd, "rb") as file:
        yield file


def standard_input(console: Console, verb: str, how: str = "") -> BinaryIO:
    """Standard input as a file, the caller's to close; raises InvalidOption, in these words, where there is none."""
    if console.stdin is None or os.isatty(console.stdin):
        raise InvalidOption(_FROM_NOTHING.format(verb, how))
    return os.fdopen(os.dup(console.stdin), "rb")


def _lines(item: Loaded) -> list[str]:
    """What Docker says of an image that was loaded."""
    names = [f"Loaded image: {reference.familiar}" for reference in item.references]
    return names or [f"Loaded image ID: {item.image.id}"]


def _command(
    verb: str, summary: str, arguments: Callable[[CommandParser], None], run: Callable[..., object]
) -> Command:
    """A command of this module."""
    return Command("image", verb, (verb,), summary, arguments, run)


COMMANDS = (
    _command("save", "Write images to an archive.", _save_arguments, _save),
    _command("load", "Take images out of an archive.", _load_arguments, _load),
)
