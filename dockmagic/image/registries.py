"""How registries are reached: mirrors, insecure hosts, certificates. Pure; `configuration` reads it.

[registries]
packages = true                             # whether installed Python packages are asked first of all for images
insecure = ["registry.lan:5000"]            # may be asked without TLS, or with a certificate of anybody's
chunk_size = 16777216                       # bytes; layers are pushed in pieces of at most this size

[registries.mirrors]                        # asked first for what this registry has, in order
"docker.io" = ["https://mirror.example"]

[registries.certificates]                   # directory with ca.crt, client.cert, client.key (all optional)
"registry.example" = "/etc/ssl/registry.example"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from dockmagic.errors import InvalidOption
from dockmagic.image.origin import is_safe

_KEYS: Final = ("mirrors", "insecure", "certificates", "chunk_size", "packages")
_TABLE: Final = "registries"
_CHUNK_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Registries:
    """What the user says of registries. Hosts are HOST or HOST:PORT, mirrors base URLs, certificates directories.

    Pushed layers go in pieces of at most `chunk_bytes`, unless a registry wants larger ones.
    """

    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    insecure: frozenset[str] = frozenset()
    certificates: Mapping[str, str] = field(default_factory=dict)
    chunk_bytes: int = _CHUNK_BYTES
    packages: bool = True

    def __post_init__(self) -> None:
        """Raise InvalidOption for a mirror that nothing may be sent to."""
        for registry, urls in self.mirrors.items():
            for url in urls:
                if not is_safe(url, self.insecure):
                    raise InvalidOption(
                        f"mirror {url!r} of {registry}: expected https://HOST, or http://HOST for this machine itself "
                        "or for a host that is listed as insecure"
                    )


def parse_registries(text: str, name: str) -> Registries:
    """Settings in this TOML text; `name` is what messages call it. Raises InvalidOption with the key that is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidOption(f"{name}: not TOML ({error}); correct it or remove it") from error
    table = _Table(name, document.get(_TABLE, {}))
    return table.registries()


class _Table:
    """The table [registries] of a file, read key by key."""

    def __init__(self, name: str, values: Any) -> None:
        self._name = name
        if not isinstance(values, dict):
            self._refuse("", f"expected a table, got {values!r}")
        self._values: dict[str, Any] = values
        for key in self._values:
            if key not in _KEYS:
                self._refuse(key, f"unknown; there are {', '.join(_KEYS)}")

    def registries(self) -> Registries:
        """All of it."""
        mirrors = {host: self._texts(f"mirrors.{host}", urls) for host, urls in self._table("mirrors").items()}
        certificates = {
            host: self._text(f"certificates.{host}", path) for host, path in self._table("certificates").items()
        }
        insecure = frozenset(self._texts("insecure", self._values.get("insecure", [])))
        chunk_bytes = self._size("chunk_size", self._values.get("chunk_size", _CHUNK_BYTES))
        packages = self._truth("packages", default=True)
        try:
            return Registries(mirrors, insecure, certificates, chunk_bytes, packages)
        except InvalidOption as error:
            raise InvalidOption(f"{self._name}: {error}") from error

    def _table(self, key: str) -> dict[str, Any]:
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            self._refuse(key, f"expected a table of registries, got {value!r}")
        return value

    def _truth(self, key: str, *, default: bool) -> bool:
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            self._refuse(key, f"expected true or false, got {value!r}")
        return value

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            self._refuse(key, f"expected a list of texts, got {value!r}")
        return tuple(self._text(key, item) for item in value)

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or not value:
            self._refuse(key, f"expected a text, got {value!r}")
        return value

    def _size(self, key: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self._refuse(key, f"expected a number of bytes, got {value!r}")
        return value

    def _refuse(self, key: str, why: str) -> NoReturn:
        """Raise the InvalidOption of a key."""
        raise InvalidOption(f"{self._name}: {_TABLE}{'.' if key else ''}{key}: {why}")
