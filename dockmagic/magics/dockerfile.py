"""`%%dockerfile`: the cell is a Dockerfile. Its body is taken as it is; nothing in it is expanded."""

from __future__ import annotations

from pathlib import Path

from dockmagic.commands.build import Built, add_build_flags, build_text
from dockmagic.commands.build_call import Described
from dockmagic.commands.command import CommandParser, Console
from dockmagic.commands.results import Checked
from dockmagic.magics.session import Session

FILENAME = "cell"  # what messages call the Dockerfile


def dockerfile_parser() -> CommandParser:
    """The parser of the magic's line."""
    parser = CommandParser("%%dockerfile", "Build an image from the Dockerfile that is the cell's body.")
    add_build_flags(parser)
    parser.add_argument(
        "--context",
        metavar="DIR|URL",
        default=".",
        help="where COPY and ADD take from (the notebook's directory)",
    )
    return parser


def dockerfile(session: Session, words: list[str], body: str, console: Console) -> Built | Checked | Described:
    """Build the body. The context is read by COPY and ADD only, so that a cell without them never looks at it."""
    from dockmagic.commands.build_context import context_of

    args = dockerfile_parser().parse_words(words)
    context = context_of(args.context, "--context") if args.context != "." else Path.cwd()
    return build_text(session.engine, args, body, console, context=context, filename=FILENAME)
