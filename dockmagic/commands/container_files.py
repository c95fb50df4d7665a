"""Commands on the files of containers, and import: diff, export, commit, cp. Source: Docker's reference."""

from __future__ import annotations

import os
from argparse import BooleanOptionalAction
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dockmagic.commands.archive import output, standard_input
from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.human import decimal_size
from dockmagic.commands.progress_style import ProgressStyle
from dockmagic.commands.results import Names
from dockmagic.commands.table import Pretty, Table
from dockmagic.errors import InvalidOption
from dockmagic.events import ignore
from dockmagic.image.whole import whole_file

if TYPE_CHECKING:
    from dockmagic.container import Container
    from dockmagic.engine import Engine
    from dockmagic.files.copying import Copied
    from dockmagic.files.verbs import CopyOptions
    from dockmagic.image.store import Image
    from dockmagic.image.tree import Change

_MOST_SHOWN: Final = 500  # in a notebook
_STREAM: Final = "-"


@dataclass(frozen=True)
class ContainerChanges:
    """What a container changed on its image. As a sequence it gives the changes."""

    changes: tuple[Change, ...]

    def __len__(self) -> int:
        """Number of changes."""
        return len(self.changes)

    def __getitem__(self, index: int) -> Change:
        """A change."""
        return self.changes[index]

    def __str__(self) -> str:
        """A line for each: A added, C changed, D deleted."""
        return _lines(self.changes)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython, of a length that a notebook can show."""
        printer.text(_lines(self.changes[:_MOST_SHOWN]))

    def _repr_html_(self) -> str:
        """A table of that length."""
        shown = self.changes[:_MOST_SHOWN]
        rows = tuple((change.kind, change.path, _size(change)) for change in shown)
        more = f'<div style="opacity:.7">… {len(self) - len(shown)} more</div>' if len(self) > len(shown) else ""
        return Table(("", "PATH", "SIZE"), rows, caption="nothing was changed")._repr_html_() + more


def _lines(changes: tuple[Change, ...]) -> str:
    return "\n".join(f"{change.kind} {change.path}" for change in changes)


def _size(change: Change) -> str:
    return decimal_size(change.size_bytes) if change.type == "file" else "-"


@dataclass(frozen=True)
class MadeImage:
    """An image that was made; its text is its ID."""

    image: Image

    def __str__(self) -> str:
        """The ID."""
        return str(self.image.id)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))


@dataclass(frozen=True)
class Export:
    """The files of a container, to be saved as a tar archive."""

    container: Container

    def save(self, path: str | Path) -> None:
        """Write the archive, which has its name only once it is whole. Raises StoreError, InvalidOption, NotFound."""
        with whole_file(Path(path)) as out:
            self.container.export(out)

    def __str__(self) -> str:
        """How to get at them."""
        return f"the files of {self.container.name}; .save(FILE) writes them as a tar archive"

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))


@dataclass(frozen=True)
class Copy:
    """What cp copied; `quiet` leaves the text out."""

    copied: Copied
    quiet: bool = False

    def __str__(self) -> str:
        """How much was copied, and where to."""
        if self.quiet:
            return ""
        return f"Successfully copied {decimal_size(self.copied.size_bytes)} to {self.copied.target}"

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))


# diff, export


def _container(parser: CommandParser) -> None:
    parser.add_argument("container", metavar="CONTAINER", help="name, id, or the beginning of an id")


def _diff(engine: Engine, args: Namespace, console: Console) -> ContainerChanges:
    """What a container changed on its image."""
    return ContainerChanges(engine.containers.get(args.container).diff())


def _export_arguments(parser: CommandParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write (standard output)")
    _container(parser)


def _export(engine: Engine, args: Namespace, console: Console) -> Names | Export:
    """Write a container's files to a tar archive; in a notebook without a file, something that can."""
    container = engine.containers.get(args.container)
    if args.output is None and console.stdout is None:
        return Export(container)
    with output(args.output, console, "export") as out, console.watching(ProgressStyle.AUTO) as on_event:
        container.export(out, on_event)
    return Names()


# commit, import


def _change_arguments(parser: CommandParser) -> None:
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="message for the history")
    parser.add_argument(
        "-c", "--change", action="append", default=[], metavar="INSTRUCTION", help="an instruction such as 'CMD sh'"
    )


def _commit_arguments(parser: CommandParser) -> None:
    parser.add_argument("-a", "--author", default="", metavar="NAME", help="author of the image")
    _change_arguments(parser)
    parser.add_argument(
        "-p",
        "--pause",
        action=BooleanOptionalAction,
        default=True,
        help="stop its processes while files are read (--pause=false: don't)",
    )
    _container(parser)
    parser.add_argument("reference", metavar="REPOSITORY[:TAG]", nargs="?", default="", help="name of the image")


def _commit(engine: Engine, args: Namespace, console: Console) -> MadeImage:
    """Make an image of a container."""
    container = engine.containers.get(args.container)
    with console.watching(ProgressStyle.AUTO) as on_event:
        image = container.commit(
            args.reference,
            author=args.author,
            message=args.message,
            changes=args.change,
            pause=args.pause,
            on_event=on_event,
        )
    return MadeImage(image)


def _import_arguments(parser: CommandParser) -> None:
    _change_arguments(parser)
    parser.add_argument("--platform", default="", metavar="OS/ARCH", help="what the image is for (this machine)")
    parser.add_argument("source", metavar="FILE|URL|-", help="tar archive, also compressed; - is standard input")
    parser.add_argument("reference", metavar="REPOSITORY[:TAG]", nargs="?", default="", help="name of the image")


def _import(engine: Engine, args: Namespace, console: Console) -> MadeImage:
    """Make an image of a root file system."""
    with ExitStack() as stack:
        source = args.source
        if source == _STREAM:
            source = stack.enter_context(closing(standard_input(console, "import")))
        on_event = stack.enter_context(console.watching(ProgressStyle.AUTO))
        options = {"changes": args.change, "message": args.message, "platform": args.platform}
        return MadeImage(engine.images.import_(source, args.reference, **options, on_event=on_event))


# cp


def _cp_arguments(parser: CommandParser) -> None:
    parser.add_argument("-a", "--archive", action="store_true", help="keep owners")
    parser.add_argument("-L", "--follow-link", action="store_true", help="copy what a link leads to")
    parser.add_argument("-q", "--quiet", action="store_true", help="don't say what was copied")
    parser.add_argument("source", metavar="CONTAINER:PATH|PATH|-", help="what to copy; - is a tar archive")
    parser.add_argument("target", metavar="CONTAINER:PATH|PATH|-", help="where to")


def _cp(engine: Engine, args: Namespace, console: Console) -> Copy | Names:
    """Copy files between a container and here, one of the two sides being CONTAINER:PATH."""
    from dockmagic.files.rules import container_and_path

    if not args.source or not args.target:
        raise InvalidOption(f"the {'target' if args.source else 'source'} is empty; name a path")
    (from_, source), (to, target) = container_and_path(args.source), container_and_path(args.target)
    if from_ and to:
        raise InvalidOption("copying between containers isn't supported; copy to this machine first")
    if from_:
        return _copy_from(engine.containers.get(from_), source, target, args, console)
    if to:
        return _copy_to(engine.containers.get(to), source, target, args, console)
    raise InvalidOption("one of the two must be in a container: CONTAINER:PATH")


def _copy_from(container: Container, source: str, target: str, args: Namespace, console: Console) -> Copy | Names:
    """Copy out of a container."""
    with _watched(args, console) as options:
        if target != _STREAM:
            return Copy(container.copy_from(source, target, **options), args.quiet)
        with output(None, console, "copy") as out:
            container.copy_from(source, out, **options)
    return Names()


def _copy_to(container: Container, source: str, target: str, args: Namespace, console: Console) -> Copy:
    """Copy into a container."""
    with _watched(args, console) as options:
        if source != _STREAM:
            return Copy(container.copy_to(source, target, **options), args.quiet)
        with closing(standard_input(console, "copy")) as stream:
            return Copy(container.copy_to(stream, target, **options), quiet=True)


@contextmanager
def _watched(args: Namespace, console: Console) -> Iterator[CopyOptions]:
    """What the flags ask for, and who is told how far the copy is."""
    with nullcontext(ignore) if args.quiet else console.watching(ProgressStyle.AUTO) as on_event:
        yield {"archive": args.archive, "follow": args.follow_link, "on_event": on_event}


def _show_copy(result: Copy | Names, console: Console) -> None:
    """Say what was copied, as Docker does: on standard error, and only to a terminal."""
    if str(result) and console.stdout is not None and os.isatty(console.stdout):
        console.write("stderr", f"{result}\n".encode())


def _command(
    noun: str, verb: str, summary: str, arguments: Callable[[CommandParser], None], run: Callable[..., object]
) -> Command:
    """A command of this module; its verb alone is its alias."""
    return Command(noun, verb, (verb,), summary, arguments, run)


COMMANDS = (
    _command("container", "diff", "Show what a container changed on its image.", _container, _diff),
    _command("container", "export", "Write a container's files to a tar archive.", _export_arguments, _export),
    _command("container", "commit", "Make an image of a container.", _commit_arguments, _commit),
    Command("container", "cp", ("cp",), "Copy files out of or into a container.", _cp_arguments, _cp, _show_copy),
    _command("image", "import", "Make an image of a root file system.", _import_arguments, _import),
)
