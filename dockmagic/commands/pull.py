"""The command pull. Source: Docker's reference, "docker image pull".

Progress goes where a door shows it; on standard output are the word on the default tag, and the full name at the end.
"""

from __future__ import annotations

import os
from argparse import BooleanOptionalAction
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.container import results_of
from dockmagic.commands.progress_style import ProgressStyle
from dockmagic.commands.results import Stored
from dockmagic.commands.table import Pretty
from dockmagic.errors import InvalidOption, RegistryError
from dockmagic.events import OnEvent, ignore
from dockmagic.image.platform import platform_option
from dockmagic.oci.reference import DEFAULT_TAG, Reference

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.image.store import Image
    from dockmagic.oci.descriptor import Platform

_NO_TRUST: Final = "signatures of images can't be verified; leave --disable-content-trust as it is"


@dataclass(frozen=True)
class StoredTags:
    """The images of a repository that are in the store now; `name` is the repository's. As a sequence it gives them."""

    name: str
    images: tuple[Image, ...]

    def __len__(self) -> int:
        """Number of tags that were pulled."""
        return len(self.images)

    def __getitem__(self, index: int) -> Image:
        """The image of a tag."""
        return self.images[index]

    def __str__(self) -> str:
        """The repository's name."""
        return self.name

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("-a", "--all-tags", action="store_true", help="all tagged images of the repository")
    parser.add_argument("-q", "--quiet", action="store_true", help="show nothing but the image's name")
    parser.add_argument(
        "--platform", default=os.environ.get("DOCKER_DEFAULT_PLATFORM", ""), metavar="OS/ARCH",
        help="platform of the image, such as linux/arm64 (this machine's, or $DOCKER_DEFAULT_PLATFORM)",
    )  # fmt: skip
    parser.add_argument(
        "--disable-content-trust", action=BooleanOptionalAction, default=True, help="no signatures (always so)"
    )
    parser.add_argument("reference", metavar="NAME[:TAG|@DIGEST]", help="image in a registry")


def _pull(engine: Engine, args: Namespace, console: Console) -> Stored | StoredTags:
    """Fetch an image from its registry, or all that its repository has."""
    if not args.disable_content_trust:
        raise InvalidOption(_NO_TRUST)
    reference = Reference.parse(args.reference)
    platform = platform_option(args.platform) if args.platform else None
    is_bare = _is_bare(args.reference, reference)
    if args.all_tags and not is_bare:
        raise InvalidOption("tag can't be used with --all-tags/-a")
    if is_bare and not args.all_tags and not args.quiet:
        console.write("stdout", f"Using default tag: {DEFAULT_TAG}\n".encode())
    with nullcontext(ignore) if args.quiet else console.watching(ProgressStyle.AUTO) as on_event:
        if args.all_tags:
            return _pull_all(engine, reference, platform, console, on_event)
        return Stored(engine.images.pull(args.reference, on_event, platform), str(reference))


def _pull_all(
    engine: Engine, reference: Reference, platform: Platform | None, console: Console, on_event: OnEvent
) -> StoredTags:
    """Fetch every tag, also after one that can't be had. Raises what went wrong at the end."""
    tags = engine.images.tags(reference.name, on_event)
    if not tags:
        raise RegistryError(f"{reference.familiar_name} has no tags")

    def pull(tag: str) -> Stored:
        named = Reference.parse(f"{reference.name}:{tag}")
        return Stored(engine.images.pull(str(named), on_event, platform), str(named))

    return StoredTags(reference.name, tuple(stored.image for stored in results_of(tags, pull, console)))


def _is_bare(text: str, reference: Reference) -> bool:
    """Whether neither a tag nor a digest was given."""
    return reference.digest is None and not text.endswith(f":{reference.tag}")


COMMANDS = (Command("image", "pull", ("pull",), "Fetch an image from a registry.", _arguments, _pull),)
