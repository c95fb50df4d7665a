"""Where a build takes its Dockerfile and its files from: a directory, standard input, or elsewhere.

Source: docker build's reference, "Build context" and `--file`; BuildKit, for the names of the Dockerfile.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dockmagic.builder.addresses import LAYOUT, context_address, is_address, layout_image
from dockmagic.builder.settings import GIT_DIR_ARG, truth
from dockmagic.builder.tree import Tree
from dockmagic.commands.command import Namespace
from dockmagic.commands.environment import build_arguments
from dockmagic.commands.secrets import secrets
from dockmagic.errors import InvalidOption
from dockmagic.oci.reference import Reference

if TYPE_CHECKING:
    from dockmagic.builder.remotes import Fetched
    from dockmagic.engine import Engine

IMAGE: Final = "docker-image://"
_NAME: Final = "Dockerfile"


@dataclass(frozen=True)
class Place:
    """The text of a Dockerfile, what messages call it, its file if it is one, and the context that goes with it."""

    text: str
    context: Path | None
    filename: str = _NAME
    path: Path | None = None


def located(engine: Engine, args: Namespace, stack: ExitStack) -> Place:
    """What to build; what had to be fetched stays until the stack ends. Raises InvalidOption, BuildError."""
    if args.path == "-" and args.file == "-":
        raise InvalidOption("standard input can't be both the context and the Dockerfile; name one of them")
    remote = args.path == "-" or is_address(args.path)
    if remote and args.file != "-":
        return _in_fetched(_fetched(engine, args, stack), args)
    if remote:
        return Place(_standard_input(), _fetched(engine, args, stack).directory)
    context = directory(args.path, "PATH")
    if args.file == "-":
        return Place(_standard_input(), context)
    path = Path(args.file).expanduser() if args.file else default_file(context)
    try:
        return Place(path.read_text("utf-8"), context, str(path), path)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def default_file(context: Path) -> Path:
    """The Dockerfile of a context: that name, or in lower case where only that is there."""
    path, other = context / _NAME, context / _NAME.lower()
    return other if not path.exists() and other.exists() else path


def directory(text: str, flag: str) -> Path:
    """An existing directory. Raises InvalidOption."""
    path = Path(text).expanduser()
    if not path.is_dir():
        raise InvalidOption(f"{flag} {text!r} isn't a directory")
    return path


def context_of(text: str, flag: str) -> Path | str:
    """A directory that exists, or an address that can be fetched. Raises InvalidOption."""
    if not is_address(text):
        return directory(text, flag)
    try:
        context_address(text)
    except ValueError as error:
        raise InvalidOption(f"{flag} {text!r}: {error}") from None
    return text


def build_contexts(given: Sequence[str]) -> dict[str, Path | str]:
    """Values of `--build-context NAME=SOURCE`: a directory, an address, or a reference. Raises InvalidOption."""
    contexts: dict[str, Path | str] = {}
    for text in given:
        name, _, source = text.partition("=")
        if not name or not source:
            raise InvalidOption(f"--build-context {text!r}: write NAME=DIRECTORY, NAME=URL or NAME={IMAGE}REFERENCE")
        if source.startswith(IMAGE):
            contexts[name] = str(Reference.parse(source.removeprefix(IMAGE)))
        elif source.startswith(LAYOUT):
            contexts[name] = _layout(source, f"--build-context {name}=")
        else:
            found = context_of(source, f"--build-context {name}=")
            contexts[name] = found if isinstance(found, str) else found.absolute()
    return contexts


def _layout(text: str, flag: str) -> str:
    """The image of an OCI layout, whose directory exists, by its absolute path. Raises InvalidOption."""
    try:
        found = layout_image(text)
    except ValueError as error:
        raise InvalidOption(f"{flag} {text!r}: {error}") from None
    return str(replace(found, path=str(directory(found.path, flag).absolute())))


def _fetched(engine: Engine, args: Namespace, stack: ExitStack) -> Fetched:
    """The context that isn't a directory here. Raises InvalidOption, BuildError."""
    keep = truth(build_arguments(args.build_arg, os.environ), GIT_DIR_ARG)
    remotes = stack.enter_context(engine.remotes(keep_git_dir=keep, secrets=secrets(args.secret, os.environ)))
    if args.path == "-":
        return remotes.read(sys.stdin.buffer)
    context_of(args.path, "PATH")
    return remotes.get(args.path)


def _in_fetched(fetched: Fetched, args: Namespace) -> Place:
    """The Dockerfile in a context that was fetched; no link leads out of it."""
    if fetched.directory is None:
        if args.file:
            raise InvalidOption(f"the Dockerfile is what PATH {args.path!r} gives; leave -f out")
        return Place(fetched.text, None)
    tree = Tree((fetched.directory,))
    names = [args.file] if args.file else [_NAME, _NAME.lower()]
    for name in names:
        found = tree.lookup(name.strip("/"))
        if found is not None and found.is_file:
            return Place(_read(found.open(), name), fetched.directory, name, Path(found.location))
    raise InvalidOption(f"the context has no {names[0]}; name the Dockerfile in it with -f")


def _read(descriptor: int, name: str) -> str:
    try:
        with os.fdopen(descriptor, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise _unreadable(Path(name), error) from error


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> InvalidOption:
    reason = (error.strerror if isinstance(error, OSError) else "") or "not UTF-8 text"
    return InvalidOption(f"can't read the Dockerfile {path}: {reason}; name another with -f")


def _standard_input() -> str:
    """All of standard input. Raises InvalidOption where it isn't text."""
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidOption("the Dockerfile on standard input isn't UTF-8 text") from error
