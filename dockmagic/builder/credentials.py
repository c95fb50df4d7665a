"""What a build shows to servers that ask who is there: secrets of the build with names that say for which host. Pure.

    HTTP_AUTH_HEADER_<host>, HTTP_AUTH_TOKEN_<host>             for a URL
    GIT_AUTH_HEADER.<host>, GIT_AUTH_TOKEN.<host>,
    GIT_AUTH_HEADER, GIT_AUTH_TOKEN                             for a repository

A header is the whole value of Authorization. A token is made one: as a bearer for a URL, with a user's name for a
repository. A repository's host has its port, a URL's has none. Source: Docker documentation, "Git authentication for
remote contexts"; BuildKit, for the names and which one wins.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from dockmagic.errors import BuildError

Secrets = Mapping[str, bytes]  # contents by id

_TOKEN_USER: Final = "x-access-token"
_SHARED: Final = ("https://github.com/", "https://www.github.com/")  # hosts whose repositories share a token


def url_authorization(url: str, secrets: Secrets) -> str:
    """The Authorization to send to the URL's host, "" for none; raises BuildError for a secret that can't be one."""
    host = urlsplit(url).hostname or ""
    token = _text(f"HTTP_AUTH_TOKEN_{host}", secrets)
    return f"Bearer {token}" if token else _text(f"HTTP_AUTH_HEADER_{host}", secrets)


def git_authorization(remote: str, secrets: Secrets) -> str:
    """The Authorization to send to the repository, "" for none; raises BuildError for a secret that can't be one."""
    parts = urlsplit(remote)
    if parts.scheme not in ("http", "https"):
        return ""
    for suffix in (f".{parts.netloc.rpartition('@')[2]}", ""):
        header = _text(f"GIT_AUTH_HEADER{suffix}", secrets)
        token = _text(f"GIT_AUTH_TOKEN{suffix}", secrets)
        if header or token:
            return header or f"Basic {base64.b64encode(f'{_TOKEN_USER}:{token}'.encode()).decode()}"
    return ""


def git_scope(remote: str) -> str:
    """The addresses, by their beginning, that a repository's Authorization may be sent to."""
    return next((shared for shared in _SHARED if remote.startswith(shared)), remote)


def _text(name: str, secrets: Secrets) -> str:
    """A secret's text without the line break of its file, "" if it isn't given."""
    text = secrets.get(name, b"").rstrip(b"\r\n").decode("utf-8", "replace")
    if not text.isascii() or not text.isprintable():
        raise BuildError(f"the secret {name} has characters that no header can have; check its file or variable")
    return text
