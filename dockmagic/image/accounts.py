"""A user's accounts at registries: where their credentials are, logging in and logging out.

Docker's config.json comes first, and is the only file that is written; podman's auth.json is read as well. Sources:
docker login's and logout's reference; containers-auth.json(5).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dockmagic.image.auth import Credentials, registry_of, server_of
from dockmagic.image.auth_file import AuthFile
from dockmagic.image.registries import Registries


@dataclass(frozen=True, slots=True)
class Login:
    """A login that succeeded: whose, where, and what keeps it: a `helper`, or if that is "" `path`, unencrypted."""

    server: str
    username: str
    path: Path
    helper: str = ""


@dataclass(frozen=True, slots=True)
class Logout:
    """Whether there was something to remove; `elsewhere` are the other files that still have credentials."""

    server: str
    removed: bool
    elsewhere: tuple[Path, ...] = ()


class Accounts:
    """What an environment knows of accounts; files are read anew for each question."""

    def __init__(self, registries: Callable[[], Registries], environ: Mapping[str, str], home: Path) -> None:
        """`registries` gives the settings on registries; it is asked when one of them is spoken to."""
        self._registries = registries
        self._docker = AuthFile(docker_config_path(environ, home))
        self._others = [AuthFile(path, namespaced=True) for path in podman_paths(environ, home, os.geteuid())]

    def find(self, name: str) -> Credentials | None:
        """Credentials for a registry, or for a name in it ("registry.example/team"); None where there are none.

        Raises InvalidOption for a file that can't be read, DockmagicError where a helper fails.
        """
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
        return Login(server_of(registry), credentials.username, self._docker.path, program)

    def logout(self, server: str = "") -> Logout:
        """Forget the credentials for a registry, Docker Hub by default; raises InvalidOption, DockmagicError."""
        registry = registry_of(server)
        removed = self._docker.erase(registry)
        elsewhere = tuple(file.path for file in self._others if file.find(registry) is not None)
        return Logout(server_of(registry), removed, elsewhere)


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
