"""Who we are to a registry: credentials, and by which names files and helpers know a registry. Pure.

Sources: Docker's config.json (`auths`), containers-auth.json(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from dockmagic.errors import InvalidOption

DOCKER_HUB: Final = "docker.io"
_HUB_SERVER: Final = "https://index.docker.io/v1/"
_HUB_HOSTS: Final = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password; an `identity_token` is a refresh token that stands for both.

    A `registry_token` is shown to the registry as it is.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)


def registry_of(server: str) -> str:
    """The registry's HOST[:PORT] that a user, or the key of a file, calls `server`; "docker.io" for Docker Hub.

    Raises InvalidOption for what names no host.

    >>> [registry_of(server) for server in ("", "https://index.docker.io/v1/", "https://r.example:5000/v2/")]
    ['docker.io', 'docker.io', 'r.example:5000']
    """
    host = host_of(server) if server else DOCKER_HUB
    if not _HOST.fullmatch(host):
        raise InvalidOption(f"{server!r} is no registry; expected HOST or HOST:PORT, such as registry.example:5000")
    return DOCKER_HUB if host in _HUB_HOSTS else host


def host_of(key: str) -> str:
    """Host and port of a key such as "https://registry.example/v2/"."""
    return (key.partition("://")[2] if "://" in key else key).partition("/")[0]


def server_of(registry: str) -> str:
    """What Docker calls a registry in its file, to helpers, and to its user.

    >>> server_of("docker.io"), server_of("r.example")
    ('https://index.docker.io/v1/', 'r.example')
    """
    return _HUB_SERVER if registry == DOCKER_HUB else registry


def keys_of(name: str) -> tuple[str, ...]:
    """The keys that the entry of a registry, or of a name in it, may have: the usual one first."""
    if name == DOCKER_HUB:
        return _HUB_SERVER, *_HUB_HOSTS
    return (name,) if "/" in name else (name, f"https://{name}", f"http://{name}")


def names_for(registry: str, repository: str) -> tuple[str, ...]:
    """Names by which credentials for a repository may be known, the narrowest first.

    >>> names_for("r.example", "team/app")
    ('r.example/team/app', 'r.example/team', 'r.example')
    """
    parts = [registry, *filter(None, repository.split("/"))]
    return tuple("/".join(parts[:count]) for count in range(len(parts), 0, -1))
