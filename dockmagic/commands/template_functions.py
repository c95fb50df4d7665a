"""Functions of Go templates, with those that Docker adds, and values as Go prints them.

Source: Go, text/template "Functions" and fmt; Docker's reference, "Format command and log output".
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Final
from urllib.parse import quote_plus

from dockmagic.commands.results import harmless
from dockmagic.errors import InvalidOption

_VERB: Final = re.compile(r"%(?:%|([-+ 0#]*)(\d*)(\.\d+)?([vsdqtxXofeg]))")


def compact(value: Any) -> str:
    """A value as JSON on one line."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def plain(value: Any) -> Any:
    """The value without what can only be called."""
    if isinstance(value, Mapping) and any(callable(each) for each in value.values()):
        return {key: each for key, each in value.items() if not callable(each)}
    return value


def as_go(value: Any) -> str:
    """A value as Go prints it.

    >>> as_go(["a", {"b": True}]), as_go(None)
    ('[a map[b:true]]', '<no value>')
    """
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{as_go(each)}' for key, each in sorted(plain(value).items()))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(as_go, value))}]"
    return str(value)


def is_true(value: Any) -> bool:
    """Whether Go takes the value for true: anything but false, 0, nil, and what is empty."""
    return bool(value)


def printf(form: str, *values: Any) -> str:
    """Go's fmt.Sprintf, as far as the verbs v, s, d, q, t, x, X, o, f, e and g go.

    >>> printf("%-4s|%03d|%v", "a", 7, [True])
    'a   |007|[true]'
    """
    rest = list(values)

    def shown(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if not rest:
            return f"%!{match[4]}(MISSING)"
        return _verb(match, rest.pop(0))

    return _VERB.sub(shown, form)


def _verb(match: re.Match[str], value: Any) -> str:
    """One value as its verb says."""
    flags, width, precision, verb = match[1], match[2], match[3] or "", match[4]
    if verb in "vst":
        text, form = as_go(value), "s"
        return f"%{flags.replace('0', '').replace('+', '')}{width}{precision}{form}" % text
    if verb == "q":
        return f"%{flags}{width}s" % json.dumps(as_go(value), ensure_ascii=False)
    if verb in "xX" and isinstance(value, str):
        return value.encode().hex() if verb == "x" else value.encode().hex().upper()
    if isinstance(value, bool) or not isinstance(value, int | float) or (verb in "dxXo" and isinstance(value, float)):
        return f"%!{verb}({as_go(value)})"
    return f"%{flags}{width}{precision}{verb}" % value


def index(value: Any, *keys: Any) -> Any:
    """An item of an item; a key that a map doesn't have gives "", as with Go's maps of texts. Raises InvalidOption."""
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(str(key), "")
        elif isinstance(value, list | tuple | str) and isinstance(key, int) and 0 <= key < len(value):
            value = value[key]
        elif value is None:
            raise InvalidOption("--format: index of untyped nil")
        else:
            raise InvalidOption(f"--format: index out of range: {as_go(key)}")
    return value


def _slice(value: Sequence[Any], *bounds: int) -> Sequence[Any]:
    return value[slice(*(bounds or (None,)))] if len(bounds) > 1 else value[bounds[0] if bounds else 0 :]


def _equal(first: Any, *others: Any) -> bool:
    """Whether the first is equal to any of the others."""
    return any(first == other for other in others)


def _join(values: Any, separator: str = "") -> str:
    return separator.join(map(as_go, values or ()))


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "json": lambda value: harmless(compact(value)),
    "join": _join,
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "lower": lambda text: as_go(text).lower(),
    "upper": lambda text: as_go(text).upper(),
    "title": lambda text: re.sub(r"\b\w", lambda match: match[0].upper(), as_go(text)),
    "pad": lambda text, before, after: f"{' ' * before}{text}{' ' * after}" if text else text,
    "truncate": lambda text, length: as_go(text)[:length],
    "println": lambda *values: f"{' '.join(map(as_go, values))}\n",
    "print": lambda *values: "".join(map(as_go, values)),
    "printf": printf,
    "len": lambda value: len(value or ()),
    "index": index,
    "slice": _slice,
    "not": lambda value: not is_true(value),
    "and": lambda *values: reduce(lambda one, other: other if is_true(one) else one, values),
    "or": lambda *values: reduce(lambda one, other: one if is_true(one) else other, values),
    "eq": _equal,
    "ne": lambda one, other: one != other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "html": lambda *values: html.escape("".join(map(as_go, values))),
    "urlquery": lambda *values: quote_plus("".join(map(as_go, values))),
}
