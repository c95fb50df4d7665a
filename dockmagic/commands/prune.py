"""Commands that give space back: prune of images, containers, build cache, and of all. Source: Docker's reference."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from dockmagic.commands import filters
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.confirm import add_force, confirm
from dockmagic.commands.human import decimal_size
from dockmagic.commands.refused import Refused, add_refused
from dockmagic.commands.results import PRE
from dockmagic.commands.table import Pretty
from dockmagic.commands.values import size_bytes
from dockmagic.errors import InvalidOption

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.image.pruning import Pruned

_IMAGE_FILTERS: Final = ("until", "label", "label!", "dangling")
_FILTERS: Final = ("until", "label", "label!")
_HELD: Final = "A build or a pull is at work: layers and build cache that it may need stay until the next prune."


@dataclass(frozen=True)
class Reclaimed:
    """What was removed, by the heading that Docker gives it; `bytes` came free.

    `held`: something stayed, since a build or pull may need it.
    """

    parts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    bytes: int = 0
    held: bool = False

    @property
    def removed(self) -> tuple[str, ...]:
        """All that was removed, a line each."""
        return tuple(line for _, lines in self.parts for line in lines)

    def __str__(self) -> str:
        """The list and the sum."""
        blocks = ["\n".join([f"{heading}:", *lines, ""]) for heading, lines in self.parts if lines]
        end = [f"Total reclaimed space: {decimal_size(self.bytes)}", *([_HELD] if self.held else [])]
        return "\n".join([*blocks, *end])

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The sum, and the list behind it."""
        count = len(self.removed)
        folded = f"<summary>{count} removed</summary><pre style='{PRE}'>{html.escape(str(self))}</pre>"
        held = f"<div>{_HELD}</div>" if self.held else ""
        listed = f"<details>{folded}</details>" if count else ""
        return f"<div>Total reclaimed space: <b>{decimal_size(self.bytes)}</b></div>{held}{listed}"


class Cancelled(Reclaimed):
    """Nothing was removed, since the answer was no."""

    def __str__(self) -> str:
        """Nothing."""
        return ""


def joined(*parts: tuple[str, Pruned]) -> Reclaimed:
    """Several prunes as one result."""
    return Reclaimed(
        tuple((heading, pruned.lines) for heading, pruned in parts),
        sum(pruned.reclaimed_bytes for _, pruned in parts),
        any(pruned.held for _, pruned in parts),
    )


def add_filter(parser: CommandParser, known: Sequence[str], example: str, *short: str) -> None:
    """Add --filter with these names."""
    parse = typed(partial(filters.parse, known=known))
    parser.add_argument(
        *short, "--filter", action="append", default=[], type=parse, metavar="FILTER", help=f"only these: {example}"
    )


# images and containers


def _image_arguments(parser: CommandParser) -> None:
    parser.add_argument("-a", "--all", action="store_true", help="all that no container was made of")
    add_filter(parser, _IMAGE_FILTERS, "until=24h, label=KEY[=VALUE], label!=KEY[=VALUE]")
    add_force(parser)


def _images(engine: Engine, args: Namespace, console: Console) -> Reclaimed:
    """Remove images that nothing uses."""
    chosen = filters.selection(args.filter, time.time())
    dangling = [filters.truth(one) for one in args.filter if one.name == "dangling"]
    every = args.all or dangling[-1:] == [False]
    which = "all images without at least one container associated to them" if every else "all dangling images"
    if not confirm(console, args.force, f"This will remove {which}."):
        return Cancelled()
    return joined(("Deleted Images", engine.upkeep.prune_images(chosen, all=every)))


def _container_arguments(parser: CommandParser) -> None:
    add_filter(parser, _FILTERS, "until=24h, label=KEY[=VALUE], label!=KEY[=VALUE]")
    add_force(parser)


def _containers(engine: Engine, args: Namespace, console: Console) -> Reclaimed:
    """Remove containers that don't run."""
    chosen = filters.selection(args.filter, time.time())
    if not confirm(console, args.force, "This will remove all stopped containers."):
        return Cancelled()
    return joined(("Deleted Containers", engine.upkeep.prune_containers(chosen)))


# build cache


def _builder_arguments(parser: CommandParser) -> None:
    size = typed(size_bytes)
    parser.add_argument("-a", "--all", action="store_true", help="also what images share")
    parser.add_argument(
        "--filter", action="append", default=[], metavar="FILTER", help="only these: until=24h, type=exec.cachemount"
    )
    parser.add_argument(
        "--reserved-space", "--keep-storage", type=size, default=0, metavar="BYTES", help="what may always stay"
    )
    parser.add_argument("--max-used-space", type=size, default=0, metavar="BYTES", help="most that stays")
    parser.add_argument(
        "--min-free-space", type=size, default=0, metavar="BYTES", help="what is to be free on the disk"
    )
    add_refused(parser, (Refused(("--builder",), "dockmagic is its own builder"),))
    add_refused(parser, (Refused(("--verbose",), "see what there is with builder du --verbose", switch=True),))
    add_force(parser)


def _builder(engine: Engine, args: Namespace, console: Console) -> Reclaimed:
    """Remove build cache, what was used least recently first."""
    from dockmagic.builder.upkeep import Space

    takes = [filters.cache_filter(text, time.time()) for text in args.filter]
    if not confirm(console, args.force, f"This will remove all {'' if args.all else 'dangling '}build cache."):
        return Cancelled()
    space = Space(args.reserved_space, args.max_used_space, args.min_free_space)
    pruned = engine.upkeep.prune_cache(
        all=args.all, takes=lambda record: all(take(record) for take in takes), space=space
    )
    return joined(("Deleted build cache objects", pruned))


# all of it


def _system_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "-a", "--all", action="store_true", help="all images without a container, not just dangling ones"
    )
    add_filter(parser, _FILTERS, "until=24h, label=KEY[=VALUE], label!=KEY[=VALUE]")
    parser.add_argument("--volumes", action="store_true", help="volumes without a name that no container uses, too")
    add_force(parser)


def _system(engine: Engine, args: Namespace, console: Console) -> Reclaimed:
    """Remove stopped containers, images and build cache that nothing uses."""
    chosen = filters.selection(args.filter, time.time())
    if args.volumes and chosen.until_ns is not None:
        raise InvalidOption('the "until" filter is not supported with "--volumes"')
    if not confirm(console, args.force, _system_warning(args)):
        return Cancelled()
    upkeep, until_ns = engine.upkeep, chosen.until_ns
    parts = [
        ("Deleted Containers", upkeep.prune_containers(chosen)),
        *([("Deleted Volumes", engine.volumes.prune(chosen))] if args.volumes else []),
        ("Deleted Images", upkeep.prune_images(chosen, all=args.all)),
    ]
    if not _by_label(args):
        cache = upkeep.prune_cache(all=args.all, takes=lambda record: until_ns is None or record.used_ns < until_ns)
        parts.append(("Deleted build cache objects", cache))
    return joined(*parts)


def _by_label(args: Namespace) -> bool:
    """Whether labels decide what goes; build cache has none, so that it stays."""
    return any(each.name.startswith("label") for each in args.filter)


def _system_warning(args: Namespace) -> str:
    """What is going to be removed, in Docker's words."""
    images = "all images without at least one container associated to them" if args.all else "all dangling images"
    volumes = ["all anonymous volumes not used by at least one container"] if args.volumes else []
    cache = [] if _by_label(args) else ["all build cache" if args.all else "unused build cache"]
    lines = ["This will remove:", *(f"  - {each}" for each in ("all stopped containers", *volumes, images, *cache)), ""]
    if args.filter:
        lines += ["  Items to be pruned will be filtered with:"]
        lines += [*(f"  - {each.name}={each.value}" for each in args.filter), ""]
    return "\n".join(lines)


COMMANDS = (
    Command("image", "prune", (), "Remove images that nothing uses.", _image_arguments, _images),
    Command("container", "prune", (), "Remove stopped containers.", _container_arguments, _containers),
    Command("builder", "prune", ("buildx prune",), "Remove build cache.", _builder_arguments, _builder),
    Command("system", "prune", (), "Remove all that nothing uses.", _system_arguments, _system),
)
