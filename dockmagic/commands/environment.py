"""Environment, labels and build arguments: `-e`, `--env-file`, `-l`, `--build-arg`. Source: docker/cli pkg/kvfile."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dockmagic.errors import InvalidOption


def variable(text: str, environ: Mapping[str, str]) -> str | None:
    """`NAME=value` as it is; `NAME` with the caller's value, or None where it has none; raises InvalidOption."""
    name, equals, _ = text.partition("=")
    if not name:
        raise InvalidOption(f"-e {text!r} has no name; write NAME=value, or NAME for the value it has here")
    if equals:
        return text
    return f"{name}={environ[name]}" if name in environ else None


def variables(given: Sequence[str], files: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Entries of the files first, then those given by flag, so that a flag wins. Raises InvalidOption.

    A name for which the caller has no value is left out where a file has it, and stays where a flag has it: it takes
    the image's away.
    """
    entries = [variable(entry, environ) for name in files for entry in file_entries(name)]
    return tuple(entry for entry in (*entries, *(variable(text, environ) or text for text in given)) if entry)


def file_entries(name: str, flag: str = "--env-file") -> list[str]:
    """Lines of an environment file: `NAME=value` or `NAME`, comments with # first; quotes are part of the value.

    `flag` is the one that messages name. Raises InvalidOption.
    """
    try:
        content = Path(name).expanduser().read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise InvalidOption(f"{flag} {name}: {error.strerror}") from error
    entries = []
    for number, raw in enumerate(content.split(b"\n"), start=1):
        try:
            line = raw.removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            raise InvalidOption(f"{flag} {name}, line {number}: {raw!r} isn't UTF-8 text") from error
        entry = line.lstrip()
        if not entry or entry.startswith("#"):
            continue
        if not entry.partition("=")[0] or any(c.isspace() for c in entry.partition("=")[0]):
            raise InvalidOption(f"{flag} {name}, line {number}: {line!r} isn't NAME=value")
        entries.append(entry)
    return entries


def pairs(given: Iterable[str]) -> dict[str, str]:
    """`name=value` texts as a dictionary; a later one wins, a name alone has the value ""."""
    result = {}
    for text in given:
        name, _, value = text.partition("=")
        if not name:
            raise InvalidOption(f"{text!r} has no name; write name=value")
        result[name] = value
    return result


def build_arguments(given: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Values of `--build-arg NAME=value`, or `NAME` with the caller's value; one that has none is left out."""
    return pairs(entry for text in given if (entry := variable(text, environ)) is not None)
