"""Who we are to a registry: its challenge, and the credentials that `docker login` left behind.

Knows nothing of HTTP requests. Sources: RFC 9110 section 11.6.1 (WWW-Authenticate), distribution's spec/auth/token.md,
and the `auths` object of Docker's config.json.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dockmagic.errors import InvalidOption

DOCKER_HUB: Final = "docker.io"
_HUB_KEYS: Final = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")
_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_TOKEN68: Final = r"[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))"
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?:\s+{_TOKEN68})?(?=[\s,]|$)(?!\s*=)")
_PARAMETER = re.compile(rf'\s*,?\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))')


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password; an `identity_token` is a refresh token that stands for both."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in that a registry offers; `scheme` and the names of parameters in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Challenges of a WWW-Authenticate header, in order; what can't be read ends the list.

    >>> parse_challenges('Bearer realm="https://a/t",service="s", Basic realm="r"')[1]
    Challenge(scheme='basic', parameters={'realm': 'r'})
    """
    challenges: list[Challenge] = []
    position = 0
    while match := _SCHEME.match(header, position):
        parameters, position = _parameters(header, match.end())
        challenges.append(Challenge(match[1].lower(), parameters))
    return tuple(challenges)


def _parameters(header: str, position: int) -> tuple[dict[str, str], int]:
    """Parameters that start at `position`, and the position after them."""
    parameters: dict[str, str] = {}
    while match := _PARAMETER.match(header, position):
        quoted, bare = match[2], match[3]
        parameters[match[1].lower()] = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        position = match.end()
    return parameters, position


def docker_config_path(environment: Mapping[str, str], home: Path) -> Path:
    """Where Docker keeps its config.json: $DOCKER_CONFIG, else ~/.docker."""
    return Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"


def read_credentials(path: Path, registry: str) -> Credentials | None:
    """Credentials for a registry's host from Docker's config.json; None where there are none.

    Raises InvalidOption for a file that isn't what Docker writes.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOption(f"{path}: can't be read ({error}); log in again or remove it") from error
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidOption(f"{path}: not JSON ({error}); log in again or remove it") from error
    auths = document.get("auths") if isinstance(document, dict) else None
    entry = _entry(auths if isinstance(auths, dict) else {}, registry)
    return None if entry is None else _decode(entry, path, registry)


def _entry(auths: Mapping[str, Any], registry: str) -> Mapping[str, Any] | None:
    """The entry whose key names this registry: its host, or an old-style URL of it."""
    wanted = _HUB_KEYS if registry == DOCKER_HUB else (registry,)
    by_host = {_host(key): value for key, value in auths.items()}
    for key in wanted:
        value = auths.get(key, by_host.get(key))
        if isinstance(value, dict) and value:
            return value
    return None


def _host(key: str) -> str:
    """Host and port of a key such as "https://registry.example/v2/"."""
    return key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0]


def _decode(entry: Mapping[str, Any], path: Path, registry: str) -> Credentials | None:
    """Credentials of an entry: an identity token, `auth` in base64, or the two plain fields."""
    username, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if encoded := entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(encoded), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InvalidOption(f"{path}: the entry of {registry} is damaged ({error}); log in again") from error
    credentials = Credentials(username, password.rstrip("\0"), str(entry.get("identitytoken", "")))
    return None if credentials == Credentials() else credentials
