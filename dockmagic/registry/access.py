"""Who may use a registry, by basic authentication. Sources: RFC 7617; htpasswd(1), of which bcrypt's entries count."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from dockmagic.errors import InvalidOption

_BCRYPT: Final = ("$2a$", "$2b$", "$2y$")


class Users(Protocol):
    """Who knows which password."""

    def knows(self, name: str, password: str) -> bool:
        """Whether this is a user with this password; takes the same time for a wrong one as for a right one."""


class OneUser:
    """One user, by name and password."""

    def __init__(self, name: str, password: str) -> None:
        self._known = f"{name}:{password}".encode()

    def knows(self, name: str, password: str) -> bool:
        """Whether it is this one."""
        return hmac.compare_digest(f"{name}:{password}".encode(), self._known)


class PasswordFile:
    """The users of an htpasswd file. Its hashes are slow on purpose: what was right once is remembered, as a MAC."""

    def __init__(self, hashes: Mapping[str, bytes]) -> None:
        self._hashes = hashes
        self._key = secrets.token_bytes(32)
        self._right: set[bytes] = set()
        self._lock = threading.Lock()

    def knows(self, name: str, password: str) -> bool:
        """Whether the file has this user with this password."""
        import bcrypt

        seal = hmac.digest(self._key, f"{name}:{password}".encode(), hashlib.sha256)
        if seal in self._right:
            return True
        known = self._hashes.get(name) or next(iter(self._hashes.values()))
        with self._lock:  # guesses wait for each other
            right = bcrypt.checkpw(password.encode()[:72], known) and name in self._hashes
        if right:
            self._right.add(seal)
        return right


def read_users(text: str) -> Users:
    """The users of `--auth`: NAME:PASSWORD, or the path of an htpasswd file. Raises InvalidOption."""
    name, colon, password = text.partition(":")
    if colon and not Path(text).is_file():
        if not name or not password:
            raise InvalidOption(f"{name}: expected USER:PASSWORD, or a file that `htpasswd -B` made")
        return OneUser(name, password)
    try:
        lines = Path(text).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOption(f"can't read the passwords in {text}: {error}") from error
    return PasswordFile(_entries(lines, text))


def credentials(header: str) -> tuple[str, str] | None:
    """User and password of an Authorization header; None where it has none.

    >>> credentials("Basic YWRhOmxvdmVsYWNl")
    ('ada', 'lovelace')
    """
    scheme, _, encoded = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


def _entries(lines: list[str], file: str) -> dict[str, bytes]:
    """Hashes by user; raises InvalidOption where one isn't bcrypt's, or there is none."""
    hashes: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, hashed = line.strip().partition(":")
        if not name or not hashed.startswith(_BCRYPT):
            raise InvalidOption(
                f"{file}:{number}: expected USER:HASH with a hash of bcrypt; make it with `htpasswd -B`"
            )
        hashes[name] = hashed.encode()
    if not hashes:
        raise InvalidOption(f"{file} has no users; add one with `htpasswd -B`")
    return hashes
