"""`--ssh default|ID[=SOCKET|KEY[,KEY]]`: the agents that RUN --mount=type=ssh can use.

Source: docker build's reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from dockmagic.commands.command import CommandParser
from dockmagic.errors import InvalidOption

_VARIABLE: Final = "SSH_AUTH_SOCK"


def add_ssh_flag(parser: CommandParser) -> None:
    """Add the flag."""
    parser.add_argument(
        "--ssh", action="append", default=[], metavar="default|ID[=SOCKET|KEY[,KEY]]",
        help="let RUN use an SSH agent, or the keys in these files",
    )  # fmt: skip


def agents(given: Sequence[str], environ: Mapping[str, str]) -> dict[str, tuple[Path, ...]]:
    """The socket or the keys by id; the socket of SSH_AUTH_SOCK where a flag names neither. Raises InvalidOption."""
    found: dict[str, tuple[Path, ...]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name or "default"
        if name in found:
            raise InvalidOption(f"--ssh {text!r}: {name} was named before; give each agent an id of its own")
        paths = [path for path in value.split(",") if path]
        if equals and not paths:
            raise InvalidOption(f"--ssh {text!r}: write {name}=SOCKET or {name}=KEY, or {name} for ${_VARIABLE}")
        if not paths and not environ.get(_VARIABLE):
            raise InvalidOption(
                f"--ssh {text!r}: invalid empty ssh agent socket: make sure {_VARIABLE} is set, or write {name}=SOCKET"
            )
        found[name] = tuple(Path(path).expanduser() for path in paths or [environ[_VARIABLE]])
    return found
