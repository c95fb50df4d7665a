"""What a container's start has to know of its networks; who chooses that is not known here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dockmagic.oci.options import RunOptions
from dockmagic.runtime.links import Interface


@dataclass(frozen=True, slots=True)
class Networking:
    """The links to make, the container's own addresses, the host's as it reaches them, and what isn't as it was asked.

    `embedded`: it is on a network where names of containers resolve.
    """

    interfaces: tuple[Interface, ...] = ()
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    embedded: bool = False
    warnings: tuple[str, ...] = ()


NOWHERE = Networking()
"""Of a container that has a loopback only, or a network that isn't its own."""
Prepare = Callable[[str, RunOptions], Networking]
"""Chooses for a container, by its ID, that is about to be started; raises DockmagicError."""


def nowhere(container_id: str, options: RunOptions) -> Networking:
    """Connect nobody to anything."""
    return NOWHERE
