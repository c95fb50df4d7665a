"""Cutting an instruction's arguments into words: by blanks, by quotes, or as a JSON array. Nothing is expanded.

Source: Dockerfile reference, "Format", "Shell and exec form", "ENV"; POSIX shell, "Quoting".
"""

from __future__ import annotations

import json
from typing import NamedTuple, NoReturn

BLANKS = " \t\v\f\r"  # between an instruction's words
SPACE = BLANKS + "\n\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def is_space(char: str) -> bool:
    """Whether it has Unicode's White_Space property (str.isspace also takes the separators 0x1c to 0x1f)."""
    return char in SPACE


def first_word(text: str) -> tuple[str, str]:
    """The text up to the first blank, and what follows the blanks.

    >>> first_word("FROM  busybox AS a")
    ('FROM', 'busybox AS a')
    """
    end = next((index for index, char in enumerate(text) if char in BLANKS), len(text))
    return text[:end], text[end:].lstrip(BLANKS)


def split_blanks(text: str) -> list[str]:
    """Words between blanks; quotes mean nothing.

    >>> split_blanks('a  "b c"')
    ['a', '"b', 'c"']
    """
    return [word for word in text.translate(dict.fromkeys(map(ord, BLANKS), " ")).split(" ") if word]


class _Extent(NamedTuple):
    """Where a word ends; whether its quotes are closed; whether the text ends with an escape for nothing."""

    end: int
    closed: bool
    dangling: bool


def _extent(text: str, start: int, escape: str) -> _Extent:
    """How far the word from `start` goes: to a space outside quotes, or the end."""
    quote = ""
    position = start
    while position < len(text):
        char = text[position]
        if char == escape and quote != "'":
            if position + 1 == len(text):
                return _Extent(len(text), not quote, dangling=True)
            position += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif is_space(char):
            return _Extent(position, closed=True, dangling=False)
        position += 1
    return _Extent(len(text), not quote, dangling=False)


def split_quoted(text: str, escape: str = "\\") -> tuple[list[str], bool]:
    r"""Words between spaces that are neither quoted nor escaped, quotes kept; and whether all quotes are closed.

    >>> split_quoted(r'a="b c" d=e\ f')
    (['a="b c"', 'd=e\\ f'], True)
    """
    words: list[str] = []
    closed = True
    position = 0
    while position < len(text):
        if is_space(text[position]):
            position += 1
            continue
        extent = _extent(text, position, escape)
        word = text[position : extent.end - 1 if extent.dangling else extent.end]
        words += [word] if word else []
        closed = closed and extent.closed
        position = extent.end
    return words, closed


def unquote(word: str, escape: str = "\\") -> str:
    r"""The word without its quotes and escapes, as a shell reads it; variables stay.

    >>> unquote(r'a"b c"\ d')
    'ab c d'
    """
    result: list[str] = []
    quote = ""
    position = 0
    while position < len(word):
        char = word[position]
        following = word[position + 1 : position + 2]
        if char == escape and quote != "'" and (not quote or following in {'"', "$", escape}):
            result.append(following)
            position += 1
        elif quote and char == quote:
            quote = ""
        elif not quote and char in "\"'":
            quote = char
        else:
            result.append(char)
        position += 1
    return "".join(result)


class NotStrings(ValueError):
    """A JSON array that holds something else than strings."""

    def __init__(self) -> None:
        super().__init__(
            "when using JSON array syntax, arrays must be comprised of strings only; put each item in double quotes"
        )


def json_strings(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array, None if the text is no valid JSON array; raises NotStrings for other items.

    >>> json_strings('["a", "b c"]'), json_strings("['a']")
    (('a', 'b c'), None)
    """
    if not text.lstrip(SPACE).startswith("["):
        return None
    try:
        items = json.loads(text.strip(" \t\r\n"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in items):
        raise NotStrings
    return tuple(item.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for item in items)


def _refuse(constant: str) -> NoReturn:
    """Raise ValueError: NaN and Infinity are no JSON, though Python reads them."""
    raise ValueError(constant)
