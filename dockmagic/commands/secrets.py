"""`--secret id=NAME[,src=FILE|,env=NAME]`: what RUN --mount=type=secret can show. Source: docker build's reference."""

from __future__ import annotations

import csv
import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from dockmagic.errors import InvalidOption, one_of

_KEYS: Final = ("id", "src", "source", "env", "type")
_TYPES: Final = ("file", "env")
_MAX_BYTES: Final = 500_000


def secrets(given: Sequence[str], environ: Mapping[str, str]) -> dict[str, bytes]:
    """Contents by id; a variable that isn't set gives none, so that a mount may require it or do without.

    Raises InvalidOption for words that can't be read, and for a file that can't.
    """
    contents: dict[str, bytes] = {}
    for text in given:
        fields = _fields(text)
        content = _content(text, fields, environ)
        if content is not None:
            contents[fields["id"]] = content
    return contents


def _fields(text: str) -> dict[str, str]:
    """The keys and values of one flag; "src" stands for "source" too. The id is there."""
    try:
        words = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidOption(f"--secret {text!r}: {error}") from None
    fields: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key.lower() not in _KEYS:
            close = difflib.get_close_matches(key.lower(), _KEYS, n=1) if equals else []
            guess = f"; did you mean {close[0]}=?" if close else ""
            raise InvalidOption(f"--secret {text!r}: {word!r} isn't id=, src= or env={guess}")
        fields["src" if key.lower() == "source" else key.lower()] = value
    if not fields.get("id"):
        raise InvalidOption(f"--secret {text!r} has no id; write id=NAME,src=FILE or id=NAME,env=NAME")
    if fields.get("type", "file") not in _TYPES:
        raise InvalidOption(f"--secret {text!r}: type can be {one_of(_TYPES)}, not {fields['type']!r}")
    return fields


def _content(text: str, fields: Mapping[str, str], environ: Mapping[str, str]) -> bytes | None:
    """What the flag names: a variable or a file, where it says neither whichever is called like the secret."""
    name, source = fields.get("env", ""), fields.get("src", "")
    if not name and fields.get("type") == "env":
        name, source = source or fields["id"], ""
    if not name and not source:
        name, source = (fields["id"], "") if fields["id"] in environ else ("", fields["id"])
    if name:
        return os.fsencode(environ[name]) if name in environ else None
    try:
        content = Path(source).expanduser().read_bytes()
    except OSError as error:
        raise InvalidOption(f"--secret {text!r}: can't read {source}: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise InvalidOption(
            f"--secret {text!r}: {source} has more than {_MAX_BYTES // 1000} kB, which no secret may have"
        )
    return content
