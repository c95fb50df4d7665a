"""Frozen dataclasses to the JSON form that the specifications use, and back.

Names become camelCase unless a field's metadata has another `key`, fields at their default are left out, tuples become
lists. Decoding is strict: an unknown key or a value of the wrong type is an InvalidManifest that names its place. What
others have written is passed through `known` first.

>>> from dockmagic.oci.spec import Rlimit
>>> encode(Rlimit("RLIMIT_NOFILE", 5, 9))
{'type': 'RLIMIT_NOFILE', 'soft': 5, 'hard': 9}
>>> decode(Rlimit, {"type": "RLIMIT_NOFILE", "soft": 5, "hard": 9}).hard
9
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, TypeVar

from dockmagic.errors import InvalidManifest

T = TypeVar("T")
_PLAIN: Final = frozenset((str, int, bool, float, type(None)))
Decoder = Callable[[Any, str], Any]


def encode(value: Any) -> Any:
    """JSON form of a dataclass, or of a container of them."""
    cls: Any = type(value)
    if cls in _PLAIN:
        return value
    if cls in (tuple, list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if not dataclasses.is_dataclass(value):
        return value
    encoded = {}
    for name, key, default in _encode_plan(cls):
        item = getattr(value, name)
        if item != default:
            encoded[key] = item if type(item) in _PLAIN else encode(item)
    return encoded


def decode(cls: type[T], data: Any) -> T:
    """Value of this dataclass from its JSON form; raises InvalidManifest where they don't fit."""
    decoder: Decoder = _decoder(typing.cast(typing.Hashable, cls))
    return typing.cast(T, decoder(data, ""))


def prepare(*classes: type) -> None:
    """Work out now what encoding and decoding these classes takes, so that a process forked later has it."""
    for cls in classes:
        _decoder(typing.cast(typing.Hashable, cls))
        _encode_plan(cls)


def known(hint: Any, data: Any, unknown: list[str], where: str = "") -> Any:
    """The JSON form with only what this type has; places of other fields are added to `unknown`. Null is as absent."""
    args = typing.get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(data, dict):
        hints = typing.get_type_hints(hint)
        keys = {key: hints[name] for name, key, _ in _encode_plan(hint)}
        unknown += [f"{where}{key}" for key in data if key not in keys]
        return {
            key: known(keys[key], item, unknown, f"{where}{key}.")
            for key, item in data.items()
            if key in keys and item is not None
        }
    if typing.get_origin(hint) is tuple and isinstance(data, list):
        return [known(args[0], item, unknown, where) for item in data]
    if typing.get_origin(hint) is types.UnionType:
        return known(next(arg for arg in args if arg is not type(None)), data, unknown, where)
    return data


def camel_case(name: str) -> str:
    """Name as the specifications write it.

    >>> camel_case("no_new_privileges")
    'noNewPrivileges'
    """
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


@cache
def _encode_plan(cls: Any) -> tuple[tuple[str, str, Any], ...]:
    """For each field: its name, its key, and the default that is left out."""
    return tuple((f.name, _key(f), _default(f)) for f in dataclasses.fields(cls))


def _key(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata.get("key") or camel_case(field.name))


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else dataclasses.MISSING


@cache
def _decoder(hint: Any) -> Decoder:
    """The function that decodes a value of this type."""
    if dataclasses.is_dataclass(hint):
        return _dataclass_decoder(typing.cast(type, hint))
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _tuple_decoder(_decoder(args[0]))
    if origin is types.UnionType:
        return _optional_decoder(_decoder(next(arg for arg in args if arg is not type(None))))
    return _plain_decoder(dict if origin is not None else hint)


def _dataclass_decoder(cls: type) -> Decoder:
    hints = typing.get_type_hints(cls)
    plan = {_key(f): (f.name, _decoder(hints[f.name])) for f in dataclasses.fields(cls)}

    def decode_object(data: Any, where: str) -> Any:
        if not isinstance(data, dict):
            raise InvalidManifest(f"{where or cls.__name__}: expected an object, got {type(data).__name__}")
        values = {}
        for key, item in data.items():
            if key not in plan:
                raise InvalidManifest(f"{where}.{key}: unknown field of {cls.__name__}")
            name, decoder = plan[key]
            values[name] = decoder(item, f"{where}.{key}")
        try:
            return cls(**values)
        except TypeError as error:
            raise InvalidManifest(f"{where or cls.__name__}: {error}") from error

    return decode_object


def _tuple_decoder(decode_item: Decoder) -> Decoder:
    def decode_list(data: Any, where: str) -> Any:
        if not isinstance(data, list):
            raise InvalidManifest(f"{where}: expected a list, got {type(data).__name__}")
        return tuple([decode_item(item, where) for item in data])

    return decode_list


def _optional_decoder(decode_item: Decoder) -> Decoder:
    return lambda data, where: None if data is None else decode_item(data, where)


def _plain_decoder(expected: type) -> Decoder:
    accepted = (int, float) if expected is float else expected

    def decode_plain(data: Any, where: str) -> Any:
        if not isinstance(data, accepted) or (isinstance(data, bool) and expected is not bool):
            raise InvalidManifest(f"{where}: expected {expected.__name__}, got {type(data).__name__}")
        return data

    return decode_plain
