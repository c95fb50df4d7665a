"""Asking before something is removed that can't be got back. Source: docker/cli cli/command (PromptForConfirmation)."""

from __future__ import annotations

import os

from dockmagic.commands.command import CommandParser, Console
from dockmagic.errors import DockmagicError

QUESTION = "Are you sure you want to continue? [y/N] "


def add_force(parser: CommandParser) -> None:
    """Add the flag that leaves the question out."""
    parser.add_argument("-f", "--force", action="store_true", help="don't ask (in a notebook nobody is ever asked)")


def confirm(console: Console, force: bool, warning: str) -> bool:
    """Whether to go on: asked for on a terminal, or whatever standard input is, unless `force` says so.

    A notebook has no input to ask at, and its call is the consent. Raises DockmagicError where input has ended without
    an answer.
    """
    if force or console.stdin is None:
        return True
    console.write("stdout", f"WARNING! {warning}\n{QUESTION}".encode())
    answer = _line(console.stdin)
    if not answer:
        console.write("stdout", b"\n")
        raise DockmagicError("nothing was removed: nobody answered; add --force to do it without a question")
    return answer.strip().lower() in {b"y", b"yes"}


def _line(descriptor: int) -> bytes:
    """The next line of the input, with its end; what comes after it stays there."""
    line = b""
    while not line.endswith(b"\n"):
        character = os.read(descriptor, 1)
        if not character:
            break
        line += character
    return line
