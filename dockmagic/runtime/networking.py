"""What a container's start has to know of its networks; who chooses that is not known here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dockmagic.oci.options import RunOptions
from dockmagic.runtime.hosts import Entry
from dockmagic.runtime.links import Interface


@dataclass(frozen=True, slots=True)
class Networking:
    """The links to make, the container's own addresses, the host's as it reaches them, and what isn't as it was asked.

    `embedded`: it is on a network where names of containers resolve, as the resolver that listens at the socket
    `resolver` says ("" for nobody). `linked` are lines of /etc/hosts on other containers, and `env` variables on them.
    """

    interfaces: tuple[Interface, ...] = ()
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    embedded: bool = False
    resolver: str = ""
    linked: tuple[Entry, ...] = ()
    env: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


NOWHERE = Networking()
"""Of a container that has a loopback only, or a network that isn't its own."""
Prepare = Callable[[str, RunOptions], Networking]
"""Chooses for a container, by its ID, that is about to be started; raises DockmagicError."""


def with_variables(spec_text: str, env: Iterable[str]) -> str:
    """A spec, in its JSON form, whose process has these variables, too; those that it has of its own stay."""
    spec = json.loads(spec_text)
    given = {variable.partition("=")[0] for variable in spec["process"].get("env", ())}
    more = [variable for variable in env if variable.partition("=")[0] not in given]
    spec["process"]["env"] = [*more, *spec["process"].get("env", ())]
    return json.dumps(spec)


def nowhere(container_id: str, options: RunOptions) -> Networking:
    """Connect nobody to anything."""
    return NOWHERE
