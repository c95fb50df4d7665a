"""The push command. Source: docker image push's reference."""

from __future__ import annotations

import os
from argparse import BooleanOptionalAction
from typing import TYPE_CHECKING, Final

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.progress_style import ProgressStyle
from dockmagic.commands.refused import TRUST
from dockmagic.commands.results import Pushes
from dockmagic.commands.words import TRUE
from dockmagic.errors import InvalidOption
from dockmagic.events import ignore

if TYPE_CHECKING:
    from dockmagic.engine import Engine

_ASKS_FOR_TRUST: Final = "DOCKER_CONTENT_TRUST"


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("-a", "--all-tags", action="store_true", help="push all tags of a repository")
    parser.add_argument("-q", "--quiet", action="store_true", help="show nothing but the image's name")
    parser.add_argument("--platform", default="", metavar="OS/ARCH", help="refuse an image for any other platform")
    parser.add_argument(
        "--disable-content-trust",
        action=BooleanOptionalAction,
        default=None,
        help="don't sign the image (always so)",
    )
    parser.add_argument("name", metavar="NAME[:TAG]", help="image, called as its registry is to know it")


def _push(engine: Engine, args: Namespace, console: Console) -> Pushes:
    """Bring an image into its registry."""
    from dockmagic.image.platform import platform_option
    from dockmagic.oci.reference import DEFAULT_TAG, Reference

    _check_trust(args)
    platform = platform_option(args.platform) if args.platform else None
    if args.quiet:
        pushed = engine.images.push(args.name, ignore, all_tags=args.all_tags, platform=platform)
        return Pushes(pushed, args.name)
    reference = Reference.parse(args.name, default_tag="")
    if not (args.all_tags or reference.tag or reference.digest):
        console.write("stdout", f"Using default tag: {DEFAULT_TAG}\n".encode())
    with console.watching(ProgressStyle.AUTO) as on_event:
        return Pushes(engine.images.push(args.name, on_event, all_tags=args.all_tags, platform=platform))


def _check_trust(args: Namespace) -> None:
    """Raise InvalidOption where a signature is asked for: by the flag, else by the environment."""
    asks = os.environ.get(_ASKS_FOR_TRUST, "") in TRUE
    if args.disable_content_trust is False or (asks and args.disable_content_trust is None):
        where = _ASKS_FOR_TRUST if args.disable_content_trust is None else "--disable-content-trust=false"
        raise InvalidOption(f"{where} isn't available yet: images aren't signed, and {TRUST}")


COMMANDS = (Command("image", "push", ("push",), "Bring an image into a registry.", _arguments, _push),)
