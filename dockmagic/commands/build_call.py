"""`--call` of build: what a Dockerfile is, without building it. Source: docker build's reference, "--call"."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.commands.environment import build_arguments
from dockmagic.commands.results import PRE
from dockmagic.commands.table import Pretty
from dockmagic.errors import InvalidOption, one_of

if TYPE_CHECKING:
    from dockmagic.dockerfile.outline import Outline
    from dockmagic.dockerfile.targets import Target
    from dockmagic.engine import Engine

BUILD: Final = "build"
CHECK: Final = "check"
_OUTLINE: Final = "outline"
_TARGETS: Final = "targets"
_CALLS: Final = (BUILD, CHECK, _OUTLINE, _TARGETS)


@dataclass(frozen=True)
class Described:
    """What a Dockerfile says of itself: the stages that can be built, or what a build to one of them can be given."""

    value: Outline | tuple[Target, ...]

    def __str__(self) -> str:
        """Docker's tables."""
        from dockmagic.dockerfile.outline_text import outline_text, targets_text

        text = targets_text(self.value) if isinstance(self.value, tuple) else outline_text(self.value)
        return text.removesuffix("\n")

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """The same in a preformatted block."""
        return f'<pre style="{PRE}">{html.escape(str(self))}</pre>'


def add_call_flags(parser: CommandParser) -> None:
    """Add the flags."""
    parser.add_argument(
        "--call", default=BUILD, type=typed(call), metavar="METHOD",
        help="build (the default), check (look for mistakes; status 1 if any), outline (arguments, secrets and caches "
        "of the target), or targets (stages); the last three build nothing",
    )  # fmt: skip
    parser.add_argument("--check", action="store_const", dest="call", const=CHECK, help="the same as --call=check")


def call(text: str) -> str:
    """The method, for which "lint" is another name of "check". Raises InvalidOption."""
    name = CHECK if text == "lint" else text
    if name not in _CALLS:
        raise InvalidOption(f"{text!r} isn't a method; it can be {one_of(_CALLS)}")
    return name


def described(engine: Engine, args: Namespace, dockerfile: str, filename: str) -> Described:
    """Outline or targets of the text. Raises DockerfileError, NotFound."""
    if args.call == _TARGETS:
        return Described(engine.targets(dockerfile, filename=filename))
    given = build_arguments(args.build_arg, os.environ)
    outline = engine.outline(
        dockerfile, filename=filename, build_args=given, target=args.target, platform=args.platform
    )
    return Described(outline)
