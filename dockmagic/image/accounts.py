"""A user's accounts at registries: where their credentials are, logging in and logging out.

The variable DOCKER_AUTH_CONFIG, a text like Docker's config.json, comes first, then that file, which is the only one
that is written; podman's auth.json is read too. Sources: docker login's reference; containers-auth.json(5).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from dockmagic.image.auth import Credentials, registry_of, server_of
from dockmagic.image.auth_file import AUTHS, AuthFile, credentials_in, table
from dockmagic.image.json_file import parse_object
from dockmagic.image.registries import Registries

VARIABLE: Final = "DOCKER_AUTH_CONFIG"


@dataclass(frozen=True, slots=True)
class Login:
    """A login that succeeded: whose, where, and what keeps it: a `helper`, or if that is "" `path`, unencrypted.

    Where the environment has credentials for this registry too, these are used: it is `hidden`.
    """

    server: str
    username: str
    path: Path
    helper: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Logout:
    """Whether there was something to remove; `elsewhere` are other files and variables that still have credentials."""

    server: str
    removed: bool
    elsewhere: tuple[str, ...] = ()


class Accounts:
    """What an environment knows of accounts; files are read anew for each question."""

    def __init__(self, registries: Callable[[], Registries], environ: Mapping[str, str], home: Path) -> None:
        """`registries` gives the settings on registries; it is asked when one of them is spoken to."""
        self._registries = registries
        self._given = environ.get(VARIABLE, "")
        self._docker = AuthFile(docker_config_path(environ, home))
        self._others = [AuthFile(path, namespaced=True) for path in podman_paths(environ, home, os.geteuid())]

    def find(self, name: str) -> Credentials | None:
        """Credentials for a registry, or for a name in it ("registry.example/team"); None where there are none.

        Raises InvalidOption for a file that can't be read, DockmagicError where a helper fails.
        """
        if given := self._from_environment(name):
            return given
        found = (file.find(name) for file in (self._docker, *self._others))
        return next((credentials for credentials in found if credentials is not None), None)

    def login(self, server: str = "", username: str = "", password: str = "") -> Login:
        """Try credentials at a registry, Docker Hub by default, and keep them; without a name, try those that are kept.

        Where the registry gives an identity token, that is kept in place of the password. Raises Unauthorized where the
        registry refuses, RegistryError where it can't be asked, InvalidOption, DockmagicError.
        """
        from dockmagic.image.login import identity_token

        registry = registry_of(server)
        known = None if username else self.find(registry)
        credentials = known or Credentials(username, password)
        token = identity_token(registry, credentials, self._registries())
        if known is None:
            credentials = replace(credentials, password="", identity_token=token) if token else credentials
            self._docker.store(registry, credentials)
        helper = self._docker.helper(registry)
        program = helper.program if helper else ""
        hidden = known is None and self._from_environment(registry) is not None
        return Login(server_of(registry), credentials.username, self._docker.path, program, hidden)

    def logout(self, server: str = "") -> Logout:
        """Forget the credentials for a registry, Docker Hub by default; raises InvalidOption, DockmagicError."""
        registry = registry_of(server)
        removed = self._docker.erase(registry)
        variable = [VARIABLE] if self._from_environment(registry) else []
        files = [str(file.path) for file in self._others if file.find(registry) is not None]
        return Logout(server_of(registry), removed, (*variable, *files))

    def _from_environment(self, name: str) -> Credentials | None:
        """What the environment itself has for a registry, or for a name in it; raises InvalidOption."""
        return credentials_in(table(parse_object(self._given, VARIABLE), AUTHS), name, VARIABLE)


def docker_config_path(environ: Mapping[str, str], home: Path) -> Path:
    """Where Docker keeps its config.json: $DOCKER_CONFIG, else ~/.docker."""
    return Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"


def podman_paths(environ: Mapping[str, str], home: Path, uid: int) -> tuple[Path, ...]:
    """Where podman and skopeo keep credentials, in their order: $REGISTRY_AUTH_FILE, or by default of each login."""
    if given := environ.get("REGISTRY_AUTH_FILE"):
        return (Path(given),)
    runtime, config = environ.get("XDG_RUNTIME_DIR"), environ.get("XDG_CONFIG_HOME")
    file = "containers/auth.json"
    return (
        Path(runtime) / file if runtime else Path("/run/containers") / str(uid) / "auth.json",
        Path(config or home / ".config") / file,
    )
