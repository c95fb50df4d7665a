"""Where the settings on registries are: dockmagic.toml, the environment, and Docker's directories of certificates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from dockmagic.errors import InvalidOption
from dockmagic.image.registries import Registries, parse_registries

DOCKER_CERTIFICATES: Final = Path("/etc/docker/certs.d")
_FILE: Final = "dockmagic.toml"
_HUB: Final = "docker.io"


def configuration_path(environ: Mapping[str, str], *, is_root: bool, home: Path) -> Path:
    """The file with the settings, there or not: $DOCKMAGIC_CONFIG; for root /etc/dockmagic/dockmagic.toml; for others
    dockmagic/dockmagic.toml in $XDG_CONFIG_HOME (by default ~/.config).
    """
    if given := environ.get("DOCKMAGIC_CONFIG"):
        return Path(given)
    if is_root:
        return Path("/etc/dockmagic") / _FILE
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "dockmagic" / _FILE


def read_registries(environ: Mapping[str, str]) -> Registries:
    """The settings that hold in this environment; $DOCKMAGIC_REGISTRY_MIRROR goes before other mirrors of Docker Hub.

    Raises InvalidOption for a file that can't be read, or that was named and isn't there.
    """
    path = configuration_path(environ, is_root=os.geteuid() == 0, home=Path.home())
    try:
        registries = parse_registries(path.read_text(encoding="utf-8"), str(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        if environ.get("DOCKMAGIC_CONFIG"):
            raise InvalidOption(f"DOCKMAGIC_CONFIG: there is no file {path}") from error
        registries = Registries()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOption(f"{path}: can't be read ({error})") from error
    mirror = environ.get("DOCKMAGIC_REGISTRY_MIRROR")
    if not mirror:
        return registries
    mirrors = {**registries.mirrors, _HUB: (mirror, *registries.mirrors.get(_HUB, ()))}
    try:
        return replace(registries, mirrors=mirrors)
    except InvalidOption as error:
        raise InvalidOption(f"DOCKMAGIC_REGISTRY_MIRROR: {error}") from error


def certificates_of(host: str, registries: Registries, directory: Path = DOCKER_CERTIFICATES) -> dict[str, Path]:
    """The files among ca.crt, client.cert and client.key that there are for HOST:PORT, by name.

    Raises InvalidOption where a directory that was named, or the one half of certificate and key, isn't there.
    """
    named = registries.certificates.get(host)
    place = Path(named) if named else directory / host
    if named and not place.is_dir():
        raise InvalidOption(f"registries.certificates.{host}: there is no directory {place}")
    found = {name: place / name for name in ("ca.crt", "client.cert", "client.key") if (place / name).is_file()}
    if ("client.cert" in found) != ("client.key" in found):
        raise InvalidOption(f"{place}: client.cert and client.key belong together, and one of them isn't there")
    return found
