"""The host's side of networks: bridges, rules, forwarding; there when a container starts, whoever removed them."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Final

from dockmagic.errors import Conflict, Unsupported
from dockmagic.linux import nftables as nft
from dockmagic.linux import rtnetlink as rt
from dockmagic.linux.netlink import NETLINK_NETFILTER, Netlink
from dockmagic.network import rules
from dockmagic.network.addresses import free_subnet
from dockmagic.network.model import IPNetwork, Network, Subnet
from dockmagic.network.plan import MTU, router_mac
from dockmagic.network.store import NetworkStore
from dockmagic.runtime import bridges
from dockmagic.runtime.links import guard_table

_USUAL_MTU: Final = 1500
_HINT: Final = "run containers with --network none or --network host"


class Bridges:
    """The bridges of a state root, whose run-time files are in `run_dir`."""

    def __init__(self, store: NetworkStore, run_dir: str, key: str) -> None:
        self._store = store
        self._run_dir = run_dir
        self._key = key

    def ready(self, networks: Sequence[Network]) -> tuple[list[Network], list[Network]]:
        """Have all these bridges there, with their rules; the networks as they are then, and those newly put up.

        Where all is well, that takes a fraction of a millisecond. Raises Conflict where a subnet is in use by the host,
        Unsupported where this process may not do it, or the kernel can't.
        """
        with refused_by_kernel(), Netlink() as route, Netlink(NETLINK_NETFILTER) as netfilter:
            missing = [network for network in networks if not route.index(network.interface)]
            if not missing and self._in_order(netfilter, networks):
                return list(networks), []
            with bridges.alone(self._run_dir):
                missing = [network for network in networks if not route.index(network.interface)]
                made = [self._put_up(route, self._placed(route, network)) for network in missing]
                for network in (*networks, *made):
                    self._switch_on(network)
                self._write_rules(route, netfilter)
        new = {network.id: network for network in made}
        return [new.get(network.id, network) for network in networks], made

    def remove(self, network: Network) -> None:
        """Take one network's bridge down, where it is there."""
        with refused_by_kernel(), Netlink() as route, Netlink(NETLINK_NETFILTER) as netfilter:
            with bridges.alone(self._run_dir):
                if network.interface in bridges.noted(self._run_dir):
                    bridges.remove(route, self._run_dir, network.interface)
                    self._write_rules(route, netfilter)
        bridges.take_down(self._run_dir, self._key)

    def taken(self) -> list[IPNetwork]:
        """The subnets that the host has links or routes to, but for those of our own bridges."""
        with refused_by_kernel(), Netlink() as route:
            return self._taken(route)

    def _in_order(self, netfilter: Netlink, networks: Sequence[Network]) -> bool:
        """Whether rules and forwarding are as they should be."""
        table = guard_table(self._key)
        for family, chain in ((nft.INET, rules.FORWARD), (nft.BRIDGE, rules.GUARD)):
            facts = nft.chain_facts(netfilter, family, table, chain)
            if facts is None or not facts[0]:
                return False
        if self._hindered(netfilter, networks):
            return False
        return all(bridges.forwards(switch) for network in networks for switch in _switches(network))

    def _hindered(self, netfilter: Netlink, networks: Sequence[Network]) -> bool:
        """Whether a chain of others drops what it doesn't know, our packets among it."""
        for family, table, chain in bridges.OTHERS:
            facts = nft.chain_facts(netfilter, family, table, chain)
            if facts is not None and facts[1] == nft.DROP:
                ours = bridges.foreign_rules(netfilter, family, table, chain, guard_table(self._key))
                if len(ours) < 2 * len(networks):
                    return True
        return False

    def _placed(self, route: Netlink, network: Network) -> Network:
        """The network with subnets that the host has nowhere else; chosen ones are changed where they collide.

        Raises Conflict where the user's are in use.
        """
        taken = self._taken(route)
        others = [
            subnet.network for other in self._store.all() for subnet in other.subnets if other.id != network.id
        ]  # fmt: skip
        if not network.subnets:
            return self._store.choose_subnets(network, (free_subnet([*taken, *others]),))
        for subnet in network.subnets:
            hit = next((each for each in taken if each.version == subnet.version and _overlap(each, subnet)), None)
            if hit is not None and not network.chosen:
                why = (
                    f"its subnet {subnet.cidr} overlaps with {hit}, which the host has a route to; make another network"
                )
                raise Conflict("network", network.name, why)
            if hit is not None:
                kept = [each for each in network.subnets if each.version == 6]
                return self._store.choose_subnets(network, (free_subnet([*taken, *others]), *kept))
        return network

    def _taken(self, route: Netlink) -> list[IPNetwork]:
        own = {route.index(name) for name in bridges.noted(self._run_dir)}
        found = [(address, prefix) for address, prefix, link in rt.routes(route) if address and link not in own]
        return [ip_network(f"{address}/{prefix}") for address, prefix in found if not address.startswith("fe80")]

    def _put_up(self, route: Netlink, network: Network) -> Network:
        """Make a network's bridge. Raises OSError."""
        bridges.note(self._run_dir, network.interface)
        mtu = int(network.options.get(MTU, 0)) or self._mtu(route)
        route.send(
            [
                rt.new_bridge(network.interface, router_mac(network), mtu),
                rt.change_link(0, name=network.interface, link_local=network.subnet(6) is not None),
                rt.change_link(0, name=network.interface, up=True, mtu=mtu),  # else it changes with its ports
            ]
        )
        index = route.index(network.interface)
        route.send([rt.new_address(index, f"{subnet.gateway}/{subnet.prefix}") for subnet in network.subnets])
        return network

    def _switch_on(self, network: Network) -> None:
        for switch in _switches(network):
            bridges.switch_on(self._run_dir, switch)

    def _write_rules(self, route: Netlink, netfilter: Netlink) -> None:
        """Make the rules of all bridges that are there anew, in one step. Raises OSError."""
        table = guard_table(self._key)
        there = [network for network in self._store.all() if network.interface and route.index(network.interface)]
        places = [place for network in there for place in self._store.of_network(network)]
        nft.commit(netfilter, rules.tables(table, self._key, there, places))
        for family, other, chain in bridges.OTHERS:
            facts = nft.chain_facts(netfilter, family, other, chain)
            if facts is None or facts[1] != nft.DROP:
                continue
            old = bridges.foreign_rules(netfilter, family, other, chain, table)
            parts = [each for network in there for each in rules.through_others(table, network)]
            nft.commit(
                netfilter,
                [
                    *(nft.delete_rule(family, other, chain, handle) for handle in old),
                    *(nft.new_rule(family, other, chain, each, first=True, comment=table) for each in parts),
                ],
            )

    @staticmethod
    def _mtu(route: Netlink) -> int:
        links = [link for address, prefix, link in rt.routes(route) if not address and not prefix and link]
        return rt.mtu_of(route, links[0]) if links else _USUAL_MTU


def _overlap(one: IPNetwork, subnet: Subnet) -> bool:
    return one.version == subnet.version and one.overlaps(subnet.network)


def _switches(network: Network) -> list[str]:
    """The switches that a network takes to be led out of."""
    if network.internal:
        return []
    return sorted({bridges.switch_of(subnet.version) for subnet in network.subnets})


@contextmanager
def refused_by_kernel() -> Iterator[None]:
    """Turn the kernel's refusals into Unsupported: a right that is missing, or a feature."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES, errno.EROFS):
            why = f"this process may not change the host's network ({error.strerror}); {_HINT}"
        else:
            why = f"{error.strerror}; {_HINT}"
        raise Unsupported("networks", why) from error
