"""What a container that starts, or runs, is told of the names of others: hosts, variables, the resolver."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from dockmagic.database import Database
from dockmagic.errors import Conflict, Unsupported
from dockmagic.network import legacy_links
from dockmagic.network.legacy_links import Linked
from dockmagic.network.model import Endpoint
from dockmagic.network.resolving import Resolving
from dockmagic.network.store import NetworkStore
from dockmagic.oci.codec import decode
from dockmagic.oci.networks import BRIDGE
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Spec
from dockmagic.runtime import etc
from dockmagic.runtime.client import Client
from dockmagic.runtime.hosts import Entry
from dockmagic.runtime.making import files_directory
from dockmagic.runtime.networking import Networking

_OWN_VARIABLES: Final = ("HOSTNAME=",)


@dataclass(frozen=True, slots=True)
class Known:
    """A container's row, as far as its names go; its generated files are in `directory`."""

    id: str
    name: str
    hostname: str
    directory: str
    env: tuple[str, ...]
    ports: tuple[legacy_links.Port, ...]
    options: RunOptions


class Names:
    """The names of an engine's containers."""

    def __init__(self, database: Database, client: Client, store: NetworkStore) -> None:
        self._database = database
        self._client = client
        self._store = store
        self._resolving = Resolving(client)

    def close(self) -> None:
        """Let the resolver go, when no container needs it."""
        self._resolving.close()

    # -- a container that starts -------------------------------------------------------------------------------

    def add(self, container_id: str, networking: Networking, before: Sequence[Endpoint]) -> Networking:
        """What the container needs besides, which had the places `before`, with their addresses of then.

        Containers that have links to it are told where it is now. Raises Conflict.
        """
        own = self._row(container_id)
        if own is not None:
            networking = self._with_links(own, networking)
            self._tell_parents(own, before)
        if not networking.embedded:
            return networking
        try:
            self._resolving.hold(self._served())
        except Unsupported as error:
            return replace(networking, warnings=(*networking.warnings, str(error)))
        return replace(networking, resolver=self._resolving.path)

    def _served(self) -> Iterable[str]:
        """IDs of the containers that have a place where names resolve, whether they run or not."""
        return {
            place.container_id
            for network in self._store.all()
            if network.names_resolve
            for place in self._store.of_network(network)
        }

    # -- a container that runs ---------------------------------------------------------------------------------

    def tell(self, container_id: str, before: Sequence[Endpoint], after: Sequence[Endpoint]) -> None:
        """Have a running container know of other places that it has now; raises Unsupported."""
        own = self._row(container_id)
        if own is None:
            return
        if any(place.network.names_resolve for place in after):
            self._resolving.hold(self._served())
        etc.update(own.directory, own.options, own.hostname, _around(before), _around(after))

    # -- legacy links ------------------------------------------------------------------------------------------

    def _with_links(self, own: Known, networking: Networking) -> Networking:
        """The lines and variables of those that it has links to on the default bridge; raises Conflict."""
        if not any(place.network.name == BRIDGE for place in self._store.of_container(own.id)):
            return networking
        linked: list[Entry] = []
        env: list[str] = []
        for child_id, alias in own.options.links:
            child = self._linked(own, child_id, alias)
            linked.append(legacy_links.entry(child, alias))
            env += legacy_links.variables(child, alias, own.name)
        return replace(networking, linked=tuple(linked), env=tuple(env))

    def _linked(self, own: Known, child_id: str, alias: str) -> Linked:
        """A container that is linked to; raises Conflict unless it runs on the default bridge."""
        child = self._row(child_id)
        if child is None or self._client.record(child_id) is None:
            name = child.name if child is not None else child_id[:12]
            why = f"Cannot link to a non running container: /{name} AS /{own.name}/{alias}; start it first"
            raise Conflict("container", own.name, why)
        address = _bridge_address(self._store.of_container(child_id))
        if not address:
            why = f"Cannot link to /{child.name}, as it does not belong to the default network"
            raise Conflict("container", own.name, why)
        return _linked(child, address)

    def _tell_parents(self, child: Known, before: Sequence[Endpoint]) -> None:
        """Write the container's address of now into the hosts files of those that have links to it, and run."""
        old, new = _bridge_address(before), _bridge_address(self._store.of_container(child.id))
        if not old or old == new:
            return
        for row in self._database.query("SELECT id FROM containers WHERE options LIKE ?", (f'%"{child.id}"%',)):
            parent = self._row(row["id"])
            for linked, alias in parent.options.links if parent else ():
                if parent is not None and linked == child.id:
                    entries = [(legacy_links.entry(_linked(child, address), alias),) for address in (old, new)]
                    around = [Networking(linked=each) for each in entries]
                    etc.update(parent.directory, parent.options, parent.hostname, *around)

    def _row(self, container_id: str) -> Known | None:
        """The container's row; None for a build step."""
        rows = self._database.query("SELECT * FROM containers WHERE id = ?", (container_id,))
        return _known(rows[0]) if rows else None


def _known(row: Any) -> Known:
    spec, options = decode(Spec, json.loads(row["spec"])), json.loads(row["options"])
    directory = files_directory(spec.root.overlay) if spec.root.overlay is not None else ""
    exposed = (text.partition("/") for text in options.get("expose", ()))
    ports = tuple((int(number), protocol) for number, _, protocol in exposed)
    return Known(row["id"], row["name"], spec.hostname, directory, spec.process.env, ports, decode(RunOptions, options))


def _linked(child: Known, address: str) -> Linked:
    env = [variable for variable in child.env if not variable.startswith(_OWN_VARIABLES)]
    return Linked(child.name, child.hostname, address, env, child.ports)


def _bridge_address(places: Sequence[Endpoint]) -> str:
    """The address on the default bridge, "" for none."""
    return next((place.ipv4 for place in places if place.network.name == BRIDGE), "")


def _around(places: Sequence[Endpoint]) -> Networking:
    """What the generated files tell of these places."""
    addresses = tuple(address for place in places for address in (place.ipv4, place.ipv6) if address)
    return Networking(addresses=addresses, embedded=any(place.network.names_resolve for place in places))
