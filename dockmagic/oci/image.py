"""The image config. Source: image-spec config.md, and Docker's additions (Healthcheck, Shell, OnBuild, …).

Values are immutable; `dataclasses.replace` makes a changed copy. `from_json` refuses what the specification forbids
(InvalidManifest with the field's path); fields that it doesn't know are kept in `extra` and written back, so that a
config survives a round trip unchanged in meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dockmagic.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """How to test that a container works; times in ns as in the JSON form; `test` ("NONE",) is off."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """The `config` object: how a container of the image starts. None means "not set" where Docker tells it apart."""

    user: str = ""
    exposed_ports: tuple[str, ...] = ()  # "8080/tcp", sorted
    env: tuple[str, ...] = ()  # "NAME=value", in order
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()  # sorted
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    shell: tuple[str, ...] | None = None
    on_build: tuple[str, ...] = ()
    args_escaped: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def env_map(self) -> dict[str, str]:
        """The environment as a dictionary; a later entry wins, order is kept."""
        pairs = (entry.partition("=") for entry in self.env)
        return {name: value for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class History:
    """What made a layer, or (`empty_layer`) only changed the config. `created` is RFC 3339."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """A whole image config; its digest is the image's ID."""

    architecture: str
    os: str
    config: ContainerConfig = field(default_factory=ContainerConfig)
    diff_ids: tuple[Digest, ...] = ()  # lowest first
    history: tuple[History, ...] = ()
    created: str = ""
    author: str = ""
    variant: str = ""
    os_version: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
