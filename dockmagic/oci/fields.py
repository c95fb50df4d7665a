"""Strict reading of a JSON object: each accessor gives a value of its type, or raises InvalidManifest with its place.

An absent field and null are the same; a field that nobody asks for is ignored, as the specifications want.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NoReturn, TypeVar

from dockmagic.errors import InvalidManifest

T = TypeVar("T")


class Fields:
    """A JSON object and the place it stands at, for messages ("config.Healthcheck")."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise InvalidManifest(f"{where}: expected an object, got {_kind(data)}")
        self._data: dict[str, Any] = data
        self.where = where

    @classmethod
    def parse(cls, data: bytes, what: str) -> Fields:
        """The object that this JSON text holds; `what` names the document in messages."""
        return cls(_document(data, what), what)

    @classmethod
    def parse_list(cls, data: bytes, what: str) -> list[Fields]:
        """The objects of the list that this JSON text holds."""
        items = _checked(_document(data, what), list, what)
        return [cls(item, f"{what}[{index}]") for index, item in enumerate(items)]

    def __contains__(self, key: str) -> bool:
        return self._data.get(key) is not None

    def keys(self) -> Collection[str]:
        """Names of the fields, null ones too."""
        return self._data.keys()

    def text(self, key: str) -> str:
        """A string, "" where absent."""
        return self._get(key, str, "")

    def required_text(self, key: str) -> str:
        """A string that must be there and not be empty."""
        return self.text(key) or self.refuse(key, "is missing")

    def number(self, key: str) -> int:
        """An integer, 0 where absent."""
        return self._get(key, int, 0)

    def flag(self, key: str) -> bool:
        """A truth value, False where absent."""
        return self._get(key, bool, False)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings, () where absent."""
        return self.optional_texts(key) or ()

    def optional_texts(self, key: str) -> tuple[str, ...] | None:
        """A list of strings, None where absent."""
        if key not in self:
            return None
        items = self._get(key, list, [])
        return tuple(_checked(item, str, f"{self.where}.{key}[{index}]") for index, item in enumerate(items))

    def labels(self, key: str) -> dict[str, str]:
        """An object whose values are strings, in its order; {} where absent."""
        items = self._get(key, dict, {})
        return {name: _checked(value, str, f"{self.where}.{key}.{name}") for name, value in items.items()}

    def names(self, key: str) -> tuple[str, ...]:
        """Sorted names of an object whose values are empty objects (Go's set); () where absent."""
        items = self._get(key, dict, {})
        for name, value in items.items():
            _checked({} if value is None else value, dict, f"{self.where}.{key}.{name}")
        return tuple(sorted(items))

    def object(self, key: str) -> Fields:
        """An object, an empty one where absent."""
        return Fields(self._get(key, dict, {}), f"{self.where}.{key}")

    def objects(self, key: str) -> Iterator[Fields]:
        """The objects of a list, none where absent."""
        for index, item in enumerate(self._get(key, list, [])):
            yield Fields(item, f"{self.where}.{key}[{index}]")

    def convert(self, key: str, parse: Callable[[str], T]) -> T:
        """A required string, turned into a value by `parse`, whose InvalidManifest gets the place."""
        try:
            return parse(self.required_text(key))
        except InvalidManifest as error:
            self.refuse(key, str(error))

    def others(self, known: Collection[str]) -> Mapping[str, Any]:
        """The fields that are not in `known`, as they are."""
        return {key: value for key, value in self._data.items() if key not in known}

    def refuse(self, key: str, why: str) -> NoReturn:
        """Raise the InvalidManifest of this field."""
        raise InvalidManifest(f"{self.where}.{key}: {why}")

    def _get(self, key: str, expected: type[T], default: T) -> T:
        """A field's value of this type, the default where absent."""
        value = self._data.get(key)
        return default if value is None else _checked(value, expected, f"{self.where}.{key}")


def _document(data: bytes, what: str) -> Any:
    """The value that this JSON text holds."""
    try:
        document = json.loads(data.decode(), parse_constant=_refuse_constant)
        if b"\\ud" in data.lower():  # half of a surrogate pair is JSON, but no text
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidManifest(f"{what}: not a JSON document: {error}") from error
    return document


def _checked(value: Any, expected: type[T], where: str) -> T:
    """The value, if it has this type."""
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise InvalidManifest(f"{where}: expected {_NAMES[expected]}, got {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    return _NAMES.get(type(value), "null")


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's parser would take."""
    raise ValueError(f"{name} is not a JSON value")


_NAMES: Mapping[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
