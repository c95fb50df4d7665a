"""The options of RUN --mount as values, with BuildKit's rules about which go together.

An option is read twice where it holds variables: when the Dockerfile is parsed, as far as can be, and once they are
replaced. Source: Dockerfile reference, "RUN --mount"; BuildKit for defaults and refusals.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from dockmagic.dockerfile.instructions import Options
from dockmagic.dockerfile.sizes import parse_size
from dockmagic.errors import one_of

TYPES: Final = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING: Final = ("shared", "private", "locked")
SWITCHES: Final = frozenset(("readonly", "ro", "readwrite", "rw", "required"))  # may stand without a value
_TRUE: Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_MAX_NUMBER: Final = 2**32
_UNSETTLED: Final = frozenset("$\"'\\")  # what expansion replaces or takes away


class MountError(ValueError):
    """An option that can't be; `option` is its name, "" where it is about the whole mount."""

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(message)
        self.option = option


@dataclass(frozen=True, slots=True)
class RunMount:
    """One --mount. None is "not given"; `from_`, `source`, `target`, `id` and `sharing` are then "".

    `read_only` has the default of its type. `env` "" is a variable named like the secret.
    """

    type: str = "bind"
    from_: str = ""
    source: str = ""
    target: str = ""
    read_only: bool | None = None
    id: str = ""
    sharing: str = ""
    required: bool | None = None
    size_bytes: int | None = None
    env: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


def mount_of(options: Options) -> RunMount:
    """The mount that these options, without variables, describe; raises MountError."""
    mount = RunMount()
    for name, value in options:
        mount = replace(mount, **read_option(name, value))
    for name, _ in options:
        _check_belongs(mount.type, name)
    _check(mount)
    if mount.read_only is None:
        mount = replace(mount, read_only=mount.type not in ("cache", "tmpfs"))
    return mount


def read_option(name: str, value: str | None) -> dict[str, Any]:
    """The fields of a RunMount that an option sets; raises MountError for a name or value that can't be."""
    check_name(name, value)
    field, read = _READERS[name]
    try:
        return {field: read("true" if value is None else value)}
    except ValueError as error:
        raise MountError(str(error) if field in _EXPLAINED else f"invalid value for {name}: {error}", name) from None


def check_name(name: str, value: str | None) -> None:
    """Raise MountError for an option that no mount has, or that lacks its value."""
    if name not in _READERS:
        close = difflib.get_close_matches(name[:40], _READERS, n=1)
        guess = f" (did you mean {close[0]}?)" if close else f"; a mount has {', '.join(_READERS)}"
        written = name if value is None else f"{name}={value}"
        raise MountError(f"unexpected key '{name}' in '{written}'{guess}", name)
    if value is None and name not in SWITCHES:
        raise MountError(f"invalid field '{name}' must be a key=value pair; write {name}=VALUE", name)


def is_settled(options: Options) -> bool:
    """Whether no option has anything in it that expansion could change."""
    return not any(_UNSETTLED.intersection(value or "") for _, value in options)


def _check_belongs(kind: str, name: str) -> None:
    """Raise MountError for an option that this type of mount doesn't have."""
    if name in _BELONGS_TO and kind not in _BELONGS_TO[name]:
        types = one_of([f"type={each}" for each in _BELONGS_TO[name]])
        raise MountError(f"unexpected key '{name}' for mount type '{kind}'; it is for {types}", name)


def _check(mount: RunMount) -> None:
    """Raise MountError for options that don't go together."""
    if mount.type == "secret":
        if mount.from_:
            raise MountError("a secret mount has no from; name the secret with id=", "from")
        if not (mount.source or mount.target or mount.id):
            raise MountError("a secret mount needs an id, as in --mount=type=secret,id=token")
        if mount.source and mount.id:
            raise MountError("both source and id name the secret; leave source out", "source")


def _type(text: str) -> str:
    return _known("mount type", text, TYPES)


def _sharing(text: str) -> str:
    return _known("sharing value", text, SHARING)


def _known(what: str, text: str, allowed: tuple[str, ...]) -> str:
    """The text in lower case, if it is one of these."""
    if text.lower() in allowed:
        return text.lower()
    close = difflib.get_close_matches(text.lower()[:40], allowed, n=1)
    guess = f" (did you mean {close[0]}?)" if close else ""
    raise ValueError(f'unsupported {what} "{text[:40]}"{guess}; use {one_of(allowed)}')


def _yes(text: str) -> bool:
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"{text[:40]!r} is neither true nor false; write one of them")


def _no(text: str) -> bool:
    return not _yes(text)


def _octal(text: str) -> int:
    return _number(text, 8, "an octal number, such as 0755")


def _decimal(text: str) -> int:
    return _number(text, 10, "a number from 0 up")


def _number(text: str, base: int, what: str) -> int:
    digits = text.isascii() and text.isdecimal() and len(text) <= 12 and all(int(digit) < base for digit in text)
    if not digits or int(text, base) >= _MAX_NUMBER:
        raise ValueError(f"{text[:40]!r} isn't {what}")
    return int(text, base)


_READERS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "type": ("type", _type),
    "from": ("from_", str),
    "source": ("source", str),
    "src": ("source", str),
    "target": ("target", str),
    "dst": ("target", str),
    "destination": ("target", str),
    "readonly": ("read_only", _yes),
    "ro": ("read_only", _yes),
    "readwrite": ("read_only", _no),
    "rw": ("read_only", _no),
    "id": ("id", str),
    "sharing": ("sharing", _sharing),
    "required": ("required", _yes),
    "size": ("size_bytes", parse_size),
    "env": ("env", str),
    "mode": ("mode", _octal),
    "uid": ("uid", _decimal),
    "gid": ("gid", _decimal),
}
_EXPLAINED: Final = frozenset(("type", "sharing"))  # their messages name the option already
_OWNED: Final = ("cache", "secret", "ssh")
_BELONGS_TO: Final[Mapping[str, tuple[str, ...]]] = {
    "required": ("secret", "ssh"),
    "size": ("tmpfs",),
    "sharing": ("cache",),
    "mode": _OWNED,
    "uid": _OWNED,
    "gid": _OWNED,
    "env": ("secret",),
}
