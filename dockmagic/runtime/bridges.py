"""What networks leave on the host, and taking it down: bridges, tables of rules, forwarding between links.

What is there is noted by files, so that any process can take it down later, whoever made it:

    RUN_DIR/networks/BRIDGE     a bridge of this state root
    RUN_DIR/../ip_forward       what that switch was before the first state root needed it (and ip6_forward)

Source: bridge(8), nft(8), ip-sysctl.rst of the kernel's documentation.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import Final

from dockmagic.linux import nftables as nft
from dockmagic.linux import rtnetlink as rt
from dockmagic.linux.netlink import NETLINK_NETFILTER, Netlink
from dockmagic.runtime import leftovers
from dockmagic.runtime.links import guard_table

_SWITCHES: Final = {
    "ip_forward": "/proc/sys/net/ipv4/ip_forward",
    "ip6_forward": "/proc/sys/net/ipv6/conf/all/forwarding",
}
OTHERS: Final = ((nft.IPV4, "filter", "FORWARD"), (nft.IPV6, "filter", "FORWARD"))
"""Chains of other programs, such as Docker, in which a packet has to be accepted, too."""


def switch_of(version: int) -> str:
    """The switch that forwarding of an IP version takes."""
    return "ip_forward" if version == 4 else "ip6_forward"


@contextlib.contextmanager
def alone(run_dir: str) -> Iterator[None]:
    """No other process of any state root changes networks of the host meanwhile. Raises OSError."""
    parent = os.path.dirname(run_dir)
    os.makedirs(parent, mode=0o700, exist_ok=True)
    with leftovers.lock(parent, fcntl.LOCK_EX):
        yield


def note(run_dir: str, bridge: str) -> None:
    """Note that a bridge is there, or is about to be. Raises OSError."""
    os.makedirs(f"{run_dir}/networks", mode=0o700, exist_ok=True)
    with open(f"{run_dir}/networks/{bridge}", "w"):
        pass


def noted(run_dir: str) -> list[str]:
    """Names of the bridges of a state root that may be there."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(f"{run_dir}/networks"))
    return []


def switch_on(run_dir: str, switch: str) -> None:
    """Have the host forward packets between its links, if it doesn't, and note how it was. Raises OSError."""
    memo = f"{os.path.dirname(run_dir)}/{switch}"
    before = _read(_SWITCHES[switch])
    if before == "0":
        with open(memo, "w") as file:
            file.write(before)
        _write(_SWITCHES[switch], "1")


def forwards(switch: str) -> bool:
    """Whether the host forwards packets."""
    return _read(_SWITCHES[switch]) != "0"


def take_down(run_dir: str, key: str) -> None:
    """Remove all bridges and rules of a state root, unless a container of it runs.

    Forwarding is put back by the last state root that needed it, unless others have a bridge by now.
    """
    if not noted(run_dir):
        return
    with contextlib.suppress(OSError), alone(run_dir):
        if leftovers.any_runs(run_dir):
            return
        _remove_rules(guard_table(key))
        with Netlink() as netlink:
            for bridge in noted(run_dir):
                remove(netlink, run_dir, bridge)
        with contextlib.suppress(OSError):
            os.rmdir(f"{run_dir}/networks")
        _switch_back(run_dir)


def remove(netlink: Netlink, run_dir: str, bridge: str) -> None:
    """Remove one bridge, and its note. Raises OSError."""
    index = netlink.index(bridge)
    if index:
        netlink.send([rt.delete_link(index)])
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{run_dir}/networks/{bridge}")


def _remove_rules(table: str) -> None:
    """Remove the tables of a state root, and what it added to the chains of others."""
    with Netlink(NETLINK_NETFILTER) as netlink:
        for family in (nft.INET, nft.BRIDGE):
            with contextlib.suppress(FileNotFoundError, OSError):
                nft.commit(netlink, [nft.delete_table(family, table)])
        for family, other, chain in OTHERS:
            with contextlib.suppress(OSError):
                removed = foreign_rules(netlink, family, other, chain, table)
                if removed:
                    nft.commit(netlink, [nft.delete_rule(family, other, chain, handle) for handle in removed])


def foreign_rules(netlink: Netlink, family: int, table: str, chain: str, comment: str) -> list[bytes]:
    """Handles of the rules that we added to a chain of others, which have this comment; none where it isn't there."""
    if nft.chain_facts(netlink, family, table, chain) is None:
        return []
    return [handle for handle, found in nft.rules(netlink, family, table, chain) if found == comment]


def _switch_back(run_dir: str) -> None:
    """Put forwarding back where no other state root, nor anybody else who has bridges, needs it."""
    parent = os.path.dirname(run_dir)
    others = any(os.path.isdir(f"{parent}/{name}/networks") for name in os.listdir(parent))
    strangers = any(os.path.isdir(f"/sys/class/net/{name}/bridge") for name in os.listdir("/sys/class/net"))
    if others:
        return
    for switch, path in _SWITCHES.items():
        memo = f"{parent}/{switch}"
        if os.path.exists(memo):
            if not strangers:
                _write(path, _read(memo))
            os.unlink(memo)


def _read(path: str) -> str:
    with open(path) as file:
        return file.read().strip()


def _write(path: str, value: str) -> None:
    with open(path, "w") as file:
        file.write(value)
