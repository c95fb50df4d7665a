"""Networks for a user of the engine: Docker's verbs, and what a container that starts needs of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dockmagic.database import Database
from dockmagic.errors import Conflict, InvalidOption, NotFound, Unsupported
from dockmagic.network import documents, plan
from dockmagic.network.addresses import check_address
from dockmagic.network.bridges import Bridges
from dockmagic.network.creation import NetworkRequest, new_network
from dockmagic.network.model import Endpoint, Network
from dockmagic.network.names import Names
from dockmagic.network.store import NetworkStore
from dockmagic.oci.networks import BRIDGE, DEFAULT, NetworkOptions, has_own_links
from dockmagic.oci.options import RunOptions
from dockmagic.oci.selection import Selection
from dockmagic.runtime import leftovers
from dockmagic.runtime.client import Client
from dockmagic.runtime.networking import NOWHERE, Networking
from dockmagic.runtime.request import container_directory, root_key

_EVERYTHING = Selection()


class Networks:
    """The networks of an engine."""

    def __init__(self, database: Database, client: Client) -> None:
        self._database = database
        self._client = client
        self._key = root_key(client.state_root)
        self._store = NetworkStore(database, self._key)
        self._bridges = Bridges(self._store, client.run_dir, self._key)
        self._names = Names(database, client, self._store)

    def close(self) -> None:
        """Let go what containers don't need."""
        self._names.close()

    # -- Docker's verbs ----------------------------------------------------------------------------------------

    def create(self, request: NetworkRequest) -> Network:
        """Make a network; its bridge appears with its first container. Raises InvalidOption, Conflict, Unsupported."""
        with self._database.transaction():
            others = [subnet.network for network in self._store.all() for subnet in network.subnets]
            return self._store.insert(new_network(request, [*self._bridges.taken(), *others]))

    def ls(self) -> list[Network]:
        """All networks, the predefined ones first."""
        return self._store.all()

    def get(self, name: str) -> Network:
        """The network with this name, ID or beginning of an ID; raises NotFound."""
        return self._store.find(name)

    def inspect(self, name: str) -> dict[str, Any]:
        """A network in the JSON shape of Docker; raises NotFound."""
        network = self._store.find(name)
        return documents.network_document(network, self.members(network), self._name_of)

    def members(self, network: Network) -> list[Endpoint]:
        """The places of the containers that run in the network."""
        return [place for place in self._store.of_network(network) if self._runs(place.container_id)]

    def users(self, network: Network) -> list[str]:
        """IDs of the containers that have a place in the network, whether they run or not."""
        return [place.container_id for place in self._store.of_network(network)]

    def rm(self, name: str) -> Network:
        """Remove a network, its bridge with it; raises NotFound, Conflict where containers run in it."""
        network = self._store.find(name)
        if network.predefined:
            why = f"{network.name} is a pre-defined network and cannot be removed"
            raise Conflict("network", network.name, why)
        members = self.members(network)
        if members:
            names = ", ".join(f"name:{self._name_of(place.container_id)!r}" for place in members)
            why = f"error while removing network: network {network.name} has active endpoints ({names})"
            raise Conflict("network", network.name, f"{why}; stop or disconnect these containers first")
        self._store.delete(network)
        self._bridges.remove(network)
        return network

    def prune(self, selection: Selection = _EVERYTHING) -> list[str]:
        """Remove the networks that no container has a place in, and that the selection takes; their names."""
        removed = []
        for network in self._store.all():
            if network.predefined or not selection.takes(network.created_ns, network.labels) or self.users(network):
                continue
            with contextlib.suppress(NotFound, Conflict):
                removed.append(self.rm(network.id).name)
        return removed

    def connect(self, container_id: str, mode: str, options: NetworkOptions) -> Endpoint:
        """Give a container one more place, at once where it runs; `mode` is its --network.

        Raises NotFound, Conflict, InvalidOption, ContainerError.
        """
        network = self._store.find(options.network)
        if mode == "host" or mode.startswith("container:") or network.driver != BRIDGE:
            why = "container cannot be disconnected from host network or connected to host network"
            raise Conflict("network", network.name, why)
        checked = self._checked(network, replace(options, network=network.id))
        before = self.places(container_id)
        place = self._store.connect(container_id, checked)
        try:
            if self._runs(container_id):
                place = self._connect_now(place) or place
                self._names.tell(container_id, before, self.places(container_id))
        except BaseException:
            self._store.disconnect(place)
            raise
        return place

    def disconnect(self, container_id: str, name: str) -> Endpoint:
        """Take a container out of a network, at once where it runs; raises NotFound, Conflict, ContainerError."""
        network = self._store.find(name)
        place = next((each for each in self._store.of_container(container_id) if each.network.id == network.id), None)
        if place is None:
            why = f"container {container_id[:12]} is not connected to network {network.name}"
            raise Conflict("network", network.name, why)
        before = self.places(container_id)
        running = self._client.disconnect(container_id, place.interface)
        self._store.disconnect(place)
        if running:
            places = self.places(container_id)
            for interface in plan.interfaces(places, self._key):
                self._client.reroute(container_id, interface)
            self._names.tell(container_id, before, places)
        return place

    # -- for a container ---------------------------------------------------------------------------------------

    def settled(self, options: RunOptions) -> RunOptions:
        """The options of a new container with the names of its networks; raises NotFound, InvalidOption."""
        if not has_own_links(options.network):
            if options.networks:
                raise InvalidOption(f"conflicting options: --network {options.network} goes with no other network")
            return options
        wanted = options.networks or (NetworkOptions(options.network),)
        found = [(self._store.find(each.network), each) for each in wanted]
        for network, each in found:
            if network.driver != BRIDGE and len(found) > 1:
                raise InvalidOption(f"conflicting options: --network {network.name} goes with no other network")
            self._checked(network, each)
        named = tuple(replace(each, network=network.name) for network, each in found)
        given = options.network == DEFAULT and not options.networks
        return replace(options, network=DEFAULT if given else named[0].network, networks=named)

    def place(self, container_id: str, options: RunOptions) -> None:
        """Give a new container, whose options are settled, its places in networks."""
        for each in options.networks if has_own_links(options.network) else ():
            self._store.connect(container_id, each)

    @contextlib.contextmanager
    def step(self, container_id: str, options: RunOptions) -> Iterator[None]:
        """Give the container of a build step its place in the default network while the context lasts."""
        if not has_own_links(options.network):
            yield
            return
        self._store.connect(container_id, NetworkOptions(BRIDGE))
        try:
            yield
        finally:
            self._store.forget(container_id)

    def prepare(self, container_id: str, options: RunOptions) -> Networking:
        """What a container that is about to start needs (runtime.networking.Prepare); raises Conflict, Unsupported."""
        places = self._store.of_container(container_id)
        if not places:
            return NOWHERE
        try:
            self._put_up([place.network for place in places], container_id)
        except Unsupported as error:
            if options.network != DEFAULT:
                raise
            return Networking(warnings=(f"it has only a loopback: {error}",))
        leased = self._store.lease(container_id, self._runs)
        interfaces = plan.interfaces(leased, self._key)
        gateways = [gateway for interface in interfaces for gateway in interface.gateways]
        routers = [router for interface in interfaces for router in interface.routers]
        networking = Networking(
            interfaces,
            tuple(address for place in leased for address in (place.ipv4, place.ipv6) if address),
            (*gateways, *routers),
            any(place.network.names_resolve for place in leased),
        )
        return self._names.add(container_id, networking, places)

    def settings(self, container_id: str, mode: str, *, running: bool) -> dict[str, Any]:
        """The "NetworkSettings" of a container, in Docker's shape."""
        places = self._store.of_container(container_id)
        if places or has_own_links(mode):
            return documents.container_settings(places, running=running)
        known = mode if mode in ("host", "none") else ""
        return documents.elsewhere_settings(mode, self._store.find(known) if known else None)

    def places(self, container_id: str) -> list[Endpoint]:
        """A container's places in networks; their addresses are its own while it runs."""
        return self._store.of_container(container_id)

    def collect(self) -> None:
        """Forget the places of containers and build steps that are gone."""
        kept = {row["id"] for row in self._database.query("SELECT id FROM containers")}
        for container_id in self._store.containers() - kept:
            if not self._runs(container_id):
                self._store.forget(container_id)

    def _put_up(self, networks: Sequence[Network], container_id: str) -> None:
        """Have the bridges there. Where one has been removed by hand, those that run in it are connected again."""
        _, made = self._bridges.ready(networks)
        for network in made:
            for place in self.members(network):
                if place.container_id != container_id:
                    self._connect_now(place)

    def _connect_now(self, place: Endpoint) -> Endpoint | None:
        """Make the link of a container that runs; the place with its addresses, None where it is gone meanwhile."""
        self._bridges.ready([place.network])
        leased = self._store.lease(place.container_id, self._runs)
        mine = next((each for each in leased if each.network.id == place.network.id), None)
        if mine is None:
            return None
        interfaces = plan.interfaces(leased, self._key)
        self._client.connect(place.container_id, next(each for each in interfaces if each.name == mine.interface))
        return mine

    def _checked(self, network: Network, options: NetworkOptions) -> NetworkOptions:
        """The options, with addresses in their usual form; raises InvalidOption where the network can't meet them."""
        given = options.ipv4 or options.ipv6
        if given and (network.predefined or network.chosen):
            where = (
                "user specified IP address is supported only when connecting to networks with user configured subnets"
            )
            raise InvalidOption(f"{where}; make one with network create --subnet")
        if options.aliases and network.predefined:
            raise InvalidOption("network-scoped alias is supported only for containers in user defined networks")
        ipv4 = check_address(options.ipv4, network.subnet(4), "--ip") if options.ipv4 else ""
        ipv6 = check_address(options.ipv6, network.subnet(6), "--ip6") if options.ipv6 else ""
        return replace(options, ipv4=ipv4, ipv6=ipv6)

    def _runs(self, container_id: str) -> bool:
        return leftovers.runs(container_directory(self._client.run_dir, container_id))

    def _name_of(self, container_id: str) -> str:
        rows = self._database.query("SELECT name FROM containers WHERE id = ?", (container_id,))
        return str(rows[0]["name"]) if rows else container_id[:12]
