"""Which here-documents an instruction's arguments announce. Source: Dockerfile reference, "Here-documents"."""

from __future__ import annotations

from dockmagic.dockerfile.nodes import Heredoc
from dockmagic.dockerfile.words import first_word, json_strings, split_quoted, unquote

ALLOWED = frozenset({"RUN", "COPY", "ADD"})
_MAX_FD_DIGITS = 9


def announced(name: str, rest: str) -> list[tuple[str, Heredoc]]:
    """The words of instruction `name` that announce a here-document, each with one whose content is still empty.

    None in the exec form, none where a quote isn't closed: the shell would not see the end of the word either.
    Raises NotStrings as `json_strings` does.
    """
    if name == "ONBUILD":
        name, rest = first_word(rest)
        name = name.upper()
    if name not in ALLOWED or "<<" not in rest or json_strings(rest) is not None:
        return []
    words, closed = split_quoted(rest)
    found = [(word, heredoc) for word in words if (heredoc := heredoc_of(word)) is not None]
    return found if closed else []


def heredoc_of(word: str) -> Heredoc | None:
    """The empty here-document that this word announces, None if it announces none or isn't one word.

    >>> heredoc_of("3<<-'END'")
    Heredoc(name='END', content='', expand=False, strip_tabs=True, fd=3)
    """
    rest = word.lstrip("0123456789")
    digits = word[: len(word) - len(rest)]
    if not rest.startswith("<<") or len(digits) > _MAX_FD_DIGITS or "<" in rest[2:]:
        return None
    strip_tabs = rest.startswith("<<-")
    quoted = rest[3:] if strip_tabs else rest[2:]
    words, closed = split_quoted(quoted)
    name = unquote(quoted)
    if words != [quoted] or not closed or not name:
        return None
    expand = _quotes(name) == _quotes(quoted)
    return Heredoc(name, "", expand, strip_tabs, int(digits) if digits else None)


def _quotes(text: str) -> int:
    """How many quotation marks it has."""
    return text.count("'") + text.count('"')
