"""Credentials in Docker's config.json and podman's auth.json: the keys `auths`, `credHelpers` and `credsStore`.

Sources: docker login's reference, "Credential stores"; containers-auth.json(5).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dockmagic.errors import DockmagicError, InvalidOption
from dockmagic.image.auth import Credentials, host_of, keys_of, server_of
from dockmagic.image.credential_helper import Helper
from dockmagic.image.json_file import edited, read_object

AUTHS: Final = "auths"
_HELPERS: Final = "credHelpers"
_STORE: Final = "credsStore"


class AuthFile:
    """One such file, there or not. In a `namespaced` one (podman's) a key may be a repository, or the start of one."""

    def __init__(self, path: Path, *, namespaced: bool = False) -> None:
        self.path = path
        self._namespaced = namespaced

    def find(self, name: str) -> Credentials | None:
        """Credentials for a registry, or for a name in it; None where there are none.

        Raises InvalidOption for a file that can't be read, DockmagicError where a helper fails.
        """
        document = read_object(self.path)
        if helper := self._helper(document, name):
            return helper.get(server_of(name))
        return credentials_in(table(document, AUTHS), name, str(self.path), namespaced=self._namespaced)

    def helper(self, registry: str) -> Helper | None:
        """The program that keeps the credentials for a registry; None where the file does."""
        return self._helper(read_object(self.path), registry)

    def store(self, registry: str, credentials: Credentials) -> None:
        """Keep credentials for a registry, with a helper where the file says so; raises what `find` raises."""
        if helper := self.helper(registry):
            helper.store(server_of(registry), credentials)
        with edited(self.path) as document:
            auths = table(document, AUTHS)
            _forget(auths, registry)
            auths[server_of(registry)] = {} if helper else _encode(credentials)
            document[AUTHS] = auths

    def erase(self, registry: str) -> bool:
        """Forget a registry; whether there was something to forget. Raises what `find` raises."""
        helper = self.helper(registry)
        known = helper is not None and _erase(helper, registry)
        if not self.path.exists():
            return known
        with edited(self.path) as document:
            return _forget(table(document, AUTHS), registry) or known

    def _helper(self, document: Mapping[str, Any], name: str) -> Helper | None:
        """The helper of a registry; a name in a registry has none of its own. "" turns the store of all off."""
        if "/" in name:
            return None
        helpers = table(document, _HELPERS)
        for key in keys_of(name):
            if key in helpers:
                place = f"{_HELPERS} in {self.path}"
                return Helper(str(helpers[key]), place) if helpers[key] else None
        store = document.get(_STORE)
        return Helper(str(store), f"{_STORE} in {self.path}") if store else None


def credentials_in(auths: Mapping[str, Any], name: str, place: str, *, namespaced: bool = False) -> Credentials | None:
    """Credentials for a registry, or for a name in it, among the entries of `auths`, which are at this place.

    With `namespaced` a key can be a repository. Raises InvalidOption for an entry that can't be read.
    """
    wanted = keys_of(name)
    others = (key for key in auths if key not in wanted and _stands_for(key, namespaced) in wanted)
    entries = (auths[key] for key in (*filter(auths.__contains__, wanted), *others))
    entry = next((entry for entry in entries if isinstance(entry, dict) and entry), None)
    return None if entry is None else _decode(entry, name, place)


def _stands_for(key: str, namespaced: bool) -> str:
    """What a key stands for: a host, as in an old-style URL of it, or a name where there are such."""
    return key if namespaced and "://" not in key else host_of(key)


def _decode(entry: Mapping[str, Any], name: str, place: str) -> Credentials | None:
    """Credentials of an entry: tokens, `auth` in base64, or the two plain fields."""
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if encoded := entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(encoded), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InvalidOption(f"{place}: the entry of {name} is damaged ({error}); log in again") from error
    identity, token = str(entry.get("identitytoken") or ""), str(entry.get("registrytoken") or "")
    credentials = Credentials(username, password.rstrip("\0"), identity, token)
    return None if credentials == Credentials() else credentials


def table(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object under a key, the document's own; a new one where there is none."""
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _erase(helper: Helper, registry: str) -> bool:
    """Let a helper forget a registry; whether it knew it."""
    servers = _known_to(helper, registry)
    for server in servers:
        helper.erase(server)
    return bool(servers)


def _known_to(helper: Helper, registry: str) -> list[str]:
    """The names by which a helper knows a registry; asked for one by one where it can't list what it has."""
    try:
        return [server for server in helper.list() if _means(server, registry)]
    except DockmagicError:
        server = server_of(registry)
        return [] if helper.get(server) is None else [server]


def _means(key: str, registry: str) -> bool:
    """Whether a key stands for a registry itself, and not for a name in it."""
    wanted = keys_of(registry)
    return key in wanted or ("://" in key and host_of(key) in wanted)


def _forget(auths: dict[str, Any], registry: str) -> bool:
    """Take a registry's entries out, but not those of names in it; whether there were any."""
    keys = [key for key in auths if _means(key, registry)]
    for key in keys:
        del auths[key]
    return bool(keys)


def _encode(credentials: Credentials) -> dict[str, str]:
    """The entry that Docker writes; who has an identity token needs no password."""
    token = credentials.identity_token
    pair = f"{credentials.username}:{'' if token else credentials.password}"
    return {"auth": base64.b64encode(pair.encode()).decode()} | ({"identitytoken": token} if token else {})
